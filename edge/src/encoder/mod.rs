//! From an image to a feature on the device: the interface of every encoder, and the blob, an encoder that needs no
//! operating system.
//!
//! [`Encoder`] is pixels of the input size to values. [`encode_image`] does all steps: crop and resize, encode,
//! quantise.
//!
//! A [`Blob`] (format in `docs/blob-format.md`) is read where it lies, in flash, and runs in memory that the caller
//! lends. Weights are f16 (computed in f32) or int8 (computed in integers). Both give the same bytes on every CPU:
//! integers, or f32 in a fixed order without fused multiply-add.

pub mod format; // offsets, numbers and limits of a blob
mod error;
mod encode;
mod node;
mod graph;
mod readout;
mod pool;
mod kernel;
mod conv_f16;
mod conv_int8;
mod winograd_int8;
mod vector_int8;
mod room;
mod blob;
mod run;
mod features_only;

pub use blob::{Blob, Golden, InputChannel};
pub use encode::{EncodeError, Encoder, EncoderInfo, encode_image, encode_pixels};
pub use error::BlobError;
pub use features_only::FeaturesOnly;
pub use format::{Activation, Arithmetic};
pub use node::{Node, Op, Requantise, Value};
pub use pool::{Area, Pool};
pub use readout::{Map, PooledValue, Readout};
