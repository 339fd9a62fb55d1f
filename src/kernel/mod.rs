//! SIMD kernels, selected at run time for the CPU. All `unsafe` code of the host is here, each block with its reason.

mod activation;
pub(crate) mod bf16;
pub(crate) mod channel;
pub(crate) mod depthwise;
pub(crate) mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod pages;
pub(crate) mod tile;
mod tile_size;
pub(crate) mod winograd;

pub use activation::Activation;
pub use bf16::Bf16Kernel;
pub use channel::Grid;
pub use isa::{Isa, UnknownIsa};
