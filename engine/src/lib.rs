//! Inference of Macula's own encoders, one image at a time, with kernels for each processor.
//!
//! A network is planned once: weights are packed in the order in which the kernels read them, and every value gets its
//! place in one arena. Encoding an image then allocates nothing.
//!
//! * [`float`]: f32, and f16 on processors that compute in it.
//! * [`int8`]: a blob with int8 weights, with the same bytes as `macula-edge` on every processor.
//!
//! [`Isa`] names the instruction sets; the fastest of this processor is chosen at run time.

// See `build.rs`.
#![cfg_attr(neon_a32, feature(arm_target_feature, stdarch_arm_feature_detection, stdarch_arm_neon_intrinsics))]

#[cfg(neon_a32)]
mod all_registers;
pub mod float;
pub mod int8;
mod isa;
mod lifetimes;

pub use isa::Isa;
