//! The desk: turns unlabelled images into an encoder that a device can carry.
//!
//! The modules stand in dependency order: each may use those above it and none below.
//! A test (`tests/architecture.rs`) holds that order.

#[cfg(feature = "cli")]
pub mod cli;
pub mod data; //       images in: folders, npz, CIFAR, IDX, CSV, phantoms; splits, duplicates; preprocessing
pub mod encoder;
pub mod files; //      files written whole or not at all
pub mod nn; //         layers: forward and backward side by side; SIMD kernels below them
pub mod rng; //        seeded streams, one a purpose //    EncoderSpec (plain data) -> network; MACs, parameters, memory //        parse, run, exit code
