//! The serial line: the CMSDK APB UART of Arm's MPS2 boards, polled.
//!
//! | offset | register | bits used                                |
//! |   0x00 | DATA     | 7:0, the byte read or written            |
//! |   0x04 | STATE    | 0 transmit buffer full, 1 receive buffer full |
//! |   0x08 | CTRL     | 0 transmit enable, 1 receive enable      |
//! |   0x10 | BAUDDIV  | clock / rate, at least 16                |
//!
//! Arm, *Cortex-M System Design Kit*, DDI 0479, section 4.3.

const UART0: usize = if cfg!(an547) { 0x5930_3000 } else { 0x4000_4000 };
const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CTRL: usize = 0x08;
const BAUDDIV: usize = 0x10;

const TRANSMIT_FULL: u32 = 1 << 0;
const RECEIVE_FULL: u32 = 1 << 1;

/// UART0, which only one owner can hold.
pub struct Uart {
    _owned: &'static mut (),
}

impl Uart {
    /// Takes the line and sets its rate; `None` when it is taken already.
    pub fn take(clock_hz: u32, baud: u32) -> Option<Self> {
        let mut uart = Self { _owned: cortex_m::singleton!(UART: () = ())? };
        uart.write_register(BAUDDIV, (clock_hz / baud).max(16));
        uart.write_register(CTRL, 0b11);
        Some(uart)
    }

    /// Waits for a byte.
    pub fn read(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.try_read() {
                return byte;
            }
        }
    }

    /// The byte that has arrived, if there is one.
    pub fn try_read(&mut self) -> Option<u8> {
        (self.read_register(STATE) & RECEIVE_FULL != 0).then(|| self.read_register(DATA) as u8)
    }

    /// Sends `bytes`; returns when the last one is in the transmit buffer.
    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while self.read_register(STATE) & TRANSMIT_FULL != 0 {}
            self.write_register(DATA, u32::from(byte));
        }
    }

    #[allow(unsafe_code)]
    fn read_register(&self, offset: usize) -> u32 {
        // SAFETY: `offset` is one of the constants above, so this is a register of UART0, which is mapped there on
        // this board, word-aligned, and owned by `self`. Volatile, because reading it changes it.
        unsafe { ((UART0 + offset) as *const u32).read_volatile() }
    }

    #[allow(unsafe_code)]
    fn write_register(&mut self, offset: usize, value: u32) {
        // SAFETY: as in `read_register`; no register of the UART makes the processor touch memory.
        unsafe { ((UART0 + offset) as *mut u32).write_volatile(value) }
    }
}
