//! A board to prove the device on, without the board.
//!
//! Everything here is a function of its seed: what fails once fails again.

pub mod seed; //   the numbers that failures are drawn from
pub mod flash; //  NOR flash that loses power, rots and wears out
pub mod line; //   a serial line that loses, changes, repeats and delays
pub mod board; //  flash, memory, session and line together
pub mod script; // requests that every device answers with the same bytes
pub mod elf; //    what an image takes of flash and RAM
pub mod chip; //   the image of a Cortex-M, built for an encoder
pub mod qemu; //   that image in QEMU: its UART is a socket, its flash a file
pub mod counts; // instructions, flash and RAM of that image
