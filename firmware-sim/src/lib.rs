//! A board to prove the device on, without the board.
//!
//! Everything here is a function of its seed: what fails once fails again.

pub mod flash; // NOR flash that loses power, rots and wears out
pub mod seed; //  the numbers that failures are drawn from
