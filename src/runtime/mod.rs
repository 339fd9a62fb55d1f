//! Running an encoder that is an ONNX file. The only module that names tract.
//!
//! Reading goes in steps, each with its own refusals: bytes are scanned (`scan`) and decoded (`model_file`), metadata read
//! (`metadata`), weights in other files taken in (`external`), every node admitted or refused (`admission`) within `limits`,
//! the arithmetic chosen that the processor is good at (`arithmetic`), the graph prepared (`engine`) and run image by image
//! (`plan`); all of them together are an [`HostEncoder`](crate::encoder::HostEncoder) (`onnx_encoder`).

mod admission;
mod arithmetic;
pub mod conformance;
mod engine;
mod error;
mod external;
mod limits;
mod metadata;
mod model_file;
mod onnx_encoder;
mod plan;
mod scan;

pub use arithmetic::{Arithmetic, cpu_has_fp16};
pub use error::RuntimeError;
pub use external::self_contained;
pub use limits::{FEATURE_DIM_MAX, FILE_BYTES_MAX, MEMORY_BYTES_MAX, NODES_MAX, OPERATIONS_MAX, TENSORS_MAX};
pub use metadata::{FORMAT_VERSION, Metadata, Provenance};
pub use model_file::{ElementType, decode, encode, pb};
pub use onnx_encoder::{Declared, OnnxEncoder, OpenOptions};
