//! Board support for `macula-edge` on Arm's MPS2 with a Cortex-M7 (AN500), and MPS3 with a Cortex-M55 (AN547).
#![no_std]

pub mod clock; //       time since the start
pub mod flash; //       NOR flash for the store
pub mod limits; //      the encoder in this image and memory sizes
pub mod device; //      its session and its store
pub mod semihosting; // text and exit status to the emulator; the panic handler
pub mod uart; //        the serial line

use cortex_m_rt::{ExceptionFrame, exception};

#[exception]
fn SysTick() {
    clock::on_wrap();
}

/// Reports a fault as a panic, with its address.
#[exception]
#[allow(unsafe_code)]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    panic!("hard fault at {:#010x}, called from {:#010x}", frame.pc(), frame.lr());
}
