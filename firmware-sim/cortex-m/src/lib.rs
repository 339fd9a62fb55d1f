//! What `macula-edge` needs of a board, for Arm's MPS2 with a Cortex-M7 (AN500).
#![no_std]

pub mod clock; //       time since the start
pub mod flash; //       NOR flash for the state
pub mod limits; //      the encoder in this image, sizes of its memories
pub mod semihosting; // text and exit status to the emulator; the panic handler
pub mod uart; //        the serial line

use cortex_m_rt::{ExceptionFrame, exception};

#[exception]
fn SysTick() {
    clock::on_wrap();
}

/// A fault is reported as a panic is: with its place, and the end of the run.
#[exception]
#[allow(unsafe_code)]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    panic!("hard fault at {:#010x}, called from {:#010x}", frame.pc(), frame.lr());
}
