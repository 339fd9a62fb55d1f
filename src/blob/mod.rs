//! The device's own form of an encoder: weights in f16 or int8, memory planned, read in place by a bare chip.
//!
//! `macula-edge` defines the format and runs it, here as on the chip; this module makes it from a folded network.

mod arena;
mod calibrate;
mod encoder;
mod int8;
mod layers;
mod make;

pub use arena::{Arena, plan};
pub use calibrate::{CALIBRATION_IMAGES, Ranges, calibrate};
pub use encoder::{BlobFile, BlobFileError};
pub use macula_edge::encoder::Arithmetic;
pub use make::{BlobParts, Limits, MakeBlobError, Weights, make};

use crate::encoder::Node;

/// What errors call a node: the convolution's name, or `sum` and its index.
fn node_name(index: usize, node: &Node) -> String {
    match node {
        Node::Conv { conv, .. } => conv.name.clone(),
        Node::Add { .. } => format!("sum {index}"),
    }
}
