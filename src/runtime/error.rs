//! What can be wrong with an ONNX file.

use std::io;

/// An ONNX file cannot be used as an encoder.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The bytes are no ONNX model, or not all of one.
    #[error("{path} is not a whole ONNX model: {message}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// An encoder has one input and one output.
    #[error("{path} has {count} {what}s ({names}), an encoder has 1")]
    Count {
        /// The file.
        path: String,
        /// `input` or `output`.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// Their names.
        names: String,
    },
    /// The input is no image, or the output no vector.
    #[error("{path}: {what} '{name}' has shape {found}, an encoder needs {needed}")]
    Shape {
        /// The file.
        path: String,
        /// `input` or `output`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its shape.
        found: String,
        /// What an encoder has there.
        needed: &'static str,
    },
    /// The input or output holds something else than f32 or f16.
    #[error("{path}: {what} '{name}' holds {found}, an encoder reads and gives f32 or f16")]
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
    /// A node is not admitted: its operator, an attribute or an operand is none that is run.
    #[error("{path}: node '{node}' ({op}): {message}")]
    Unsupported {
        /// The file.
        path: String,
        /// The node.
        node: String,
        /// Its operator, with the domain where it is not ONNX's own.
        op: String,
        /// What is not run.
        message: String,
    },
    /// The model is larger or slower than is run.
    #[error("{path}: {found} {what}, at most {limit} are allowed")]
    Limit {
        /// The file.
        path: String,
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// Code that prepares or runs the graph panicked.
    #[error("{path} makes the runtime fail: {message}")]
    Fault {
        /// The file.
        path: String,
        /// The message of the panic.
        message: String,
    },
    /// The graph does not fit together.
    #[error("{path} cannot be prepared to run: {message}")]
    Prepare {
        /// The file.
        path: String,
        /// What tract said.
        message: String,
    },
    /// The metadata cannot be understood.
    #[error("{path}: metadata '{key}' {message}")]
    Metadata {
        /// The file.
        path: String,
        /// Which entry.
        key: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The images asked for are not those that the model reads.
    #[error(
        "{path} reads images of {} channels, {}×{} pixels; it was given {} channels, {}×{} pixels",
        model[0], model[1], model[2], given[0], given[1], given[2]
    )]
    InputMismatch {
        /// The file.
        path: String,
        /// Channels, height and width of the model.
        model: [usize; 3],
        /// Channels, height and width that were given.
        given: [usize; 3],
    },
    /// Height or width is left open by the file, and nobody has said what they shall be.
    #[error("{path}: input '{name}' has an open size {found}; give the preprocessing it was trained with")]
    OpenSize {
        /// The file.
        path: String,
        /// The input.
        name: String,
        /// Its shape.
        found: String,
    },
}
