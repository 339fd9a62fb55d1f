//! Encoders in int8: a device blob on a host, with the same bytes as `macula-edge` and kernels for each instruction set.
//!
//! [`Int8Network`] packs the weights of a blob and plans one arena. Every kernel computes exact integers, so the order of
//! its sums is free, and the feature has the bits of [`Encoder::encode`](macula_edge::encoder::Encoder::encode).
//!
//! Values are `[height, width, channels]`, a byte each. A value that a 3×3 kernel reads has a border of its zero point, so
//! no kernel knows the edges of the image. Arm multiplies signed bytes only: there, a value is stored minus 128, and 128
//! times the sum of the weights goes into the bias.

mod error; // why a network is not built or an image not encoded
mod plane; // where the pixels of a value lie
mod plan; // places in the arena, by lifetimes
mod filters; // the weights and requantisation of a convolution, as numbers
mod kernel; // the interface of all kernels
mod scalar; // kernels in plain Rust
#[cfg(any(target_arch = "aarch64", neon_a32, target_arch = "x86_64"))]
mod winograd; // 3×3 convolutions in a fourth of the products: the mathematics
#[cfg(any(target_arch = "aarch64", neon_a32))]
mod neon; // kernels for Arm
#[cfg(target_arch = "x86_64")]
mod x86; // kernels for AVX2 and AVX-512
mod pool; // exact sums over the pixels
mod readout; // from pooled numbers to the feature
mod select; // which kernel a layer gets
mod network; // the network

pub use error::Int8Error;
pub use network::{Int8Network, Sizes};
