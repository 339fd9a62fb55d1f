//! Fuzz targets: for each external format, a function from bytes to an outcome.
//!
//! A target repairs the first check of its format (magic number, length, checksum, signature), so that mutated bytes reach
//! the code behind it, and asserts that they do. It then asserts invariants: limits hold, values survive writing and
//! reading, a store opens again with the same content. A panic or a failed assertion is a finding.
//!
//! The functions need no fuzzing engine. `fuzz_targets/` runs them under libFuzzer, `tests/replay.rs` runs them on the
//! checked-in corpora. `README.md` says how to use both.

mod dataset; //        invariants of every dataset
mod input; //          reading structured input from bytes
mod outcome; //        what a target found

pub mod blob; //       device encoders
pub mod bundle; //     signed files
pub mod csv; //        manifests
pub mod dicom; //      DICOM files
pub mod frame; //      packets on a line
pub mod graph; //      ONNX graphs built operator by operator
pub mod idx; //        the format of MNIST
pub mod image; //      image files
pub mod message; //    requests and replies
pub mod metadata; //   metadata of ONNX files
pub mod npz; //        archives of NumPy arrays
pub mod onnx; //       ONNX files
pub mod resize; //     crop, channels and size of raw images
pub mod session; //    requests to a device, with restarts
pub mod store; //      the journal on flash
pub mod samples; //    small valid inputs, the seeds

pub use input::Input;
pub use outcome::Outcome;

/// One fuzz target.
pub struct Target {
    /// Name for `cargo fuzz` and of the folders below `corpus/` and `regressions/`.
    pub name: &'static str,
    /// Runs the target on one input.
    pub run: fn(&[u8]) -> Outcome,
}

/// All targets.
pub const TARGETS: [Target; 15] = [
    Target { name: "image", run: image::run },
    Target { name: "dicom", run: dicom::run },
    Target { name: "resize", run: resize::run },
    Target { name: "npz", run: npz::run },
    Target { name: "idx", run: idx::run },
    Target { name: "csv", run: csv::run },
    Target { name: "metadata", run: metadata::run },
    Target { name: "onnx", run: onnx::run },
    Target { name: "graph", run: graph::run },
    Target { name: "bundle", run: bundle::run },
    Target { name: "blob", run: blob::run },
    Target { name: "frame", run: frame::run },
    Target { name: "message", run: message::run },
    Target { name: "session", run: session::run },
    Target { name: "store", run: store::run },
];
