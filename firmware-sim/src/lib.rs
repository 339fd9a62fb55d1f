//! A board to prove the device on, without the board.
//!
//! Everything here is a function of its seed: what fails once fails again.

pub mod elf; //   what the Cortex-M image takes of flash and RAM
pub mod flash; // NOR flash that loses power, rots and wears out
pub mod qemu; //  the Cortex-M image in QEMU, its UART on a socket
pub mod seed; //  the numbers that failures are drawn from
