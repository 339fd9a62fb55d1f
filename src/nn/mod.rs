//! The training core: one layer per file, forward and backward side by side.
//!
//! Activations are NHWC, `[H, W, C]` per image, with C a multiple of 8 so that vectors run along channels. Convolutions
//! process one image at a time; the caller distributes images over threads.

pub mod batch_norm;
pub mod conv;
pub mod conv_bf16;
pub mod conv_winograd;
pub mod cross_entropy;
pub mod depthwise;
pub mod ema;
pub mod linear;
pub mod matrix;
pub mod optimiser;
pub mod pool;
pub mod schedule;
pub mod l2_normalize;
