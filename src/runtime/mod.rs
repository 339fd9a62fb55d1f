//! Running an encoder that is an ONNX file. The only module that names tract.
//!
//! Reading goes in steps, each with its own refusals: bytes → protobuf (`model_file`), metadata
//! (`metadata`), the arithmetic the processor is good at (`arithmetic`), a plan (`plan`), and all of
//! them together as an [`Embedder`](crate::encoder::Embedder) (`onnx_encoder`).

mod arithmetic;
mod error;
mod external;
mod metadata;
mod model_file;
mod onnx_encoder;
mod plan;

pub use arithmetic::{Arithmetic, cpu_has_fp16};
pub use error::RuntimeError;
pub use external::self_contained;
pub use metadata::{FORMAT_VERSION, Metadata, Provenance};
pub use model_file::{ElementType, decode, encode, pb};
pub use onnx_encoder::{Declared, OnnxEncoder, OpenOptions};
