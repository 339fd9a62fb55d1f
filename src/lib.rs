//! The desk: turns unlabelled images into an encoder that a device can carry.
//!
//! The modules stand in dependency order: each may use those above it and none below.
//! A test (`tests/architecture.rs`) holds that order.

pub mod rng; //        seeded streams, one a purpose
pub mod files; //      files written whole or not at all
pub mod data; //       images in: folders, npz, CIFAR, IDX, CSV, phantoms; splits, duplicates; preprocessing
pub mod augment; //    quarter turns, flips, crops of 8-bit images
pub mod nn; //         layers: forward and backward side by side; SIMD kernels below them
pub mod encoder; //    EncoderSpec (plain data) -> network; MACs, parameters, memory
pub mod objective; //  what pretraining minimises: supervised, rotation
pub mod pretrain; //   loop, run folder, checkpoint, resume
pub mod blob; //       the device's own form of an encoder: f16 or int8, memory planned
#[cfg(feature = "onnx")]
pub mod runtime; //    the only module that names tract: load, choose arithmetic, embed
pub mod evaluate; //   k-NN, linear probe, few-shot episodes; baselines raw-pixels and random
#[cfg(feature = "onnx")]
pub mod export; //     ONNX in f32 and f16, parity report
pub mod device; //     the Linux device: a taught head in a file
pub mod report; //     pictures and pages for people
#[cfg(feature = "cli")]
pub mod cli; //        parse, run, exit code
