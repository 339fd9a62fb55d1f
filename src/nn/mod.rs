//! Layers: forward and backward side by side, one layer a file.

pub mod cross_entropy;
pub mod linear;
pub mod optimiser;
pub mod schedule;
