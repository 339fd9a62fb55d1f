//! A simulated board to test the device on.
//!
//! Everything is a function of its seed, so a failure repeats.

pub mod seed; //   the random numbers of failures
pub mod flash; //  NOR flash with power cuts, bit rot and wear
pub mod line; //   a serial line that loses, corrupts, duplicates and delays
pub mod board; //  flash, memory, session and line together
pub mod script; // requests that every device must answer with the same bytes
pub mod elf; //    flash and RAM of an image
pub mod qemu; //   runs the Cortex-M image in QEMU
pub mod chip; //   builds that image for an encoder
pub mod counts; // measures instructions, flash and RAM of that image
