//! Device blobs: an encoder with weights in f16 or int8 and planned memory, read in place on a microcontroller.
//!
//! `macula-edge` defines the format and runs it on the device and on the host. This module builds it from a folded network.

mod arena;
mod calibrate;
mod encoder;
mod error;
mod graph;
mod int8;
mod layers;
mod make;
mod parts;
mod readout;

pub use arena::{Arena, plan};
pub use calibrate::{CALIBRATION_IMAGES, ValueRange, calibrate};
pub use encoder::{BlobFile, BlobFileError};
pub use error::MakeBlobError;
pub use macula_edge::encoder::Arithmetic;
pub use make::make;
pub use parts::{BlobParts, Golden, Limits, Weights};
