//! The board: frames in over the UART, replies out.
#![no_std]
#![no_main]

use board::clock::CLOCK_HZ;
use board::uart::Uart;
use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    let mut uart = Uart::take(CLOCK_HZ, 115_200).expect("main runs once");
    loop {
        let byte = uart.read();
        uart.write(&[byte]);
    }
}
