//! SIMD kernels: the only place of the program with `unsafe`, each block with its reason.

pub(crate) mod channel;
pub(crate) mod depthwise;
mod isa;
pub(crate) mod tile;

pub use isa::{Isa, UnknownIsa};
