//! From a trained encoder to files for other machines: ONNX in f32 and f16, device blobs, and a parity check against the
//! trained encoder.

mod blobs;
mod classifier;
mod corpus;
mod graph;
mod linear_head;
mod onnx;
mod own_form;
mod parity;
mod readout;
mod write;

pub use blobs::{BlobRequest, BlobsError, F16_BLOB_FILE, INT8_BLOB_FILE, INT8_TOLERANCE, MadeBlob};
pub use classifier::{CLASSES_KEY, ClassifierError, HEAD_KEY, PROBABILITIES, classifier};
pub use corpus::{corpus_features, measure_corpus, statistics_of};
pub use graph::OnnxError;
pub use linear_head::{HEAD_FORMAT_VERSION, HeadClass, HeadSource, LinearHead};
pub use onnx::{INPUT_NAME, IR_VERSION, OPSET, OUTPUT_NAME, to_onnx};
pub use own_form::{has_own_form, read_own_form};
pub use parity::{F16_TOLERANCE, F32_TOLERANCE, Parity, ParityError, ParityStep, Sample, compare};
pub use write::{ExportError, Exported, F16_FILE, F32_FILE, PARITY_FILE, Tolerances, export};
