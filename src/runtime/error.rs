//! Errors of ONNX files.

use std::io;

/// An ONNX file could not be used as an encoder.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// The bytes are not a complete ONNX model.
    #[error("{path} is not a complete ONNX model: {message}")]
    Malformed {
        /// The file.
        path: String,
        /// The reason.
        message: String,
    },
    /// The number of inputs or outputs is not 1.
    #[error("{path} has {count} {what}s ({names}); an encoder has 1")]
    Count {
        /// The file.
        path: String,
        /// `input` or `output`.
        what: &'static str,
        /// Their number.
        count: usize,
        /// Their names.
        names: String,
    },
    /// The input is not an image, or the output is not a vector.
    #[error("{path}: {what} '{name}' has shape {found}; an encoder needs {needed}")]
    Shape {
        /// The file.
        path: String,
        /// `input` or `output`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its shape.
        found: String,
        /// The shape that an encoder needs.
        needed: &'static str,
    },
    /// The type of the input or output is neither f32 nor f16.
    #[error("{path}: {what} '{name}' has type {found}; an encoder needs f32 or f16")]
    ElementType {
        /// The file.
        path: String,
        /// `input` or `output`.
        what: &'static str,
        /// Its name.
        name: String,
        /// ONNX's name of the type.
        found: String,
    },
    /// An operator, attribute or operand of a node is not supported.
    #[error("{path}: node '{node}' ({op}): {message}")]
    Unsupported {
        /// The file.
        path: String,
        /// The node.
        node: String,
        /// Its operator, with the domain if it is not ONNX's.
        op: String,
        /// What is not supported.
        message: String,
    },
    /// The model exceeds a limit of size or time.
    #[error("{path}: {found} {what}; at most {limit} are allowed")]
    Limit {
        /// The file.
        path: String,
        /// The limited quantity.
        what: &'static str,
        /// The amount found.
        found: u64,
        /// The allowed amount.
        limit: u64,
    },
    /// The runtime panicked.
    #[error("{path} makes the runtime panic: {message}")]
    Fault {
        /// The file.
        path: String,
        /// The message of the panic.
        message: String,
    },
    /// The runtime refused the graph.
    #[error("the runtime refuses {path}: {message}")]
    Prepare {
        /// The file.
        path: String,
        /// tract's message.
        message: String,
    },
    /// A metadata entry is missing or invalid.
    #[error("{path}: metadata '{key}' {message}")]
    Metadata {
        /// The file.
        path: String,
        /// The entry.
        key: &'static str,
        /// The reason.
        message: String,
    },
    /// The image size differs from the model's input.
    #[error(
        "{path} reads images of {} channels, {}×{} pixels, but the preprocessing gives {} channels, {}×{} pixels",
        model[0], model[1], model[2], given[0], given[1], given[2]
    )]
    InputMismatch {
        /// The file.
        path: String,
        /// Channels, height and width of the model.
        model: [usize; 3],
        /// Channels, height and width of the images.
        given: [usize; 3],
    },
    /// Neither the file nor the caller states height and width.
    #[error("{path}: input '{name}' has an open size {found}; state the preprocessing it was trained with")]
    OpenSize {
        /// The file.
        path: String,
        /// The input.
        name: String,
        /// Its shape.
        found: String,
    },
}
