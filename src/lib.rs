//! The desk: turns unlabelled images into an encoder that a device can carry.
//!
//! The modules stand in dependency order: each may use those above it and none below.
//! A test (`tests/architecture.rs`) holds that order.

pub mod augment;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod encoder;
#[cfg(feature = "onnx")]
pub mod export;
pub mod files;
pub mod nn;
pub mod objective;
pub mod pretrain;
pub mod report;
pub mod rng;
#[cfg(feature = "onnx")]
pub mod runtime;
