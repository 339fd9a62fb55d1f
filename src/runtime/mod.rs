//! Runs encoders that are ONNX files. The only module that uses tract.
//!
//! 1. `scan` and `model_file` decode the bytes, `metadata` reads the metadata, `external` the weights in other files.
//! 2. `admission` checks every node against the supported operators and `limits`.
//! 3. `arithmetic` chooses the precision for this processor, `engine` prepares the graph, which `rewrite` simplifies, `plan` runs it
//!    image by image.
//!
//! `onnx_file` is a file that was read, `onnx_encoder` puts them together as a [`HostEncoder`](crate::encoder::HostEncoder).

mod admission;
mod arithmetic;
pub mod conformance;
mod cost;
mod engine;
mod error;
mod external;
mod limits;
mod metadata;
mod model_file;
mod onnx_encoder;
mod onnx_file;
mod plan;
mod planar;
mod planar_conv;
mod rewrite;
mod scan;

pub use arithmetic::{Arithmetic, cpu_has_fp16};
pub use cost::{OnnxCost, cost_of};
pub use error::RuntimeError;
pub use external::self_contained;
pub use limits::{FEATURE_DIM_MAX, FILE_BYTES_MAX, MEMORY_BYTES_MAX, NODES_MAX, OPERATIONS_MAX, TENSORS_MAX};
pub use metadata::{FORMAT_VERSION, Metadata, Provenance};
pub use model_file::{ElementType, decode, encode, pb};
pub use onnx_encoder::OnnxEncoder;
pub use onnx_file::{Declared, OnnxFile, OpenOptions, check_corpus};
