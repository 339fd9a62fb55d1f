//! The parts of [`crate::int8::neon::winograd`] on 32-bit Arm.

pub(in crate::int8::neon) mod input; //  Bᵀ d B
pub(in crate::int8::neon) mod tile; //   sums of products over the input channels, at one place
pub(in crate::int8::neon) mod output; // Aᵀ m A, and requantisation
