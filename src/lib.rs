//! The desk: turns unlabelled images into an encoder that a device can carry.
//!
//! The modules stand in dependency order: each may use those above it and none below.
//! A test (`tests/architecture.rs`) holds that order.

pub mod rng; //        seeded streams, one a purpose
pub mod files; //      files read up to a limit, and written whole or not at all
pub mod log; //        what a device that serves writes down
pub mod memory; //     how much this process has held
pub mod models; //     encoders that come with the program
pub mod data; //       images in: folders, npz, CIFAR, IDX, CSV, phantoms; splits, duplicates; preprocessing
pub mod augment; //    views: turns, flips, crops, colour, blur, holes; policies
pub mod kernel; //     SIMD kernels, chosen at run time by what the CPU has
pub mod nn; //         layers: forward and backward side by side
pub mod encoder; //    EncoderSpec (plain data) -> network; MACs, parameters, memory
pub mod measure; //    numbers about features: k-NN, balanced accuracy, alignment, uniformity, rank
pub mod objective; //  what pretraining minimises: supervised, rotation, simclr, triplet, moco, masked
pub mod pretrain; //   loop, run folder, checkpoint, resume
pub mod blob; //       the device's own form of an encoder: f16 or int8, memory planned
#[cfg(feature = "onnx")]
pub mod runtime; //    the only module that names tract: load, choose arithmetic, embed
pub mod evaluate; //   k-NN, linear probe, few-shot episodes; baselines raw-pixels and random
#[cfg(feature = "onnx")]
pub mod export; //     ONNX in f32 and f16, parity report
pub mod isolated; //   an ONNX encoder from elsewhere in a process of its own, with limits
pub mod bundle; //     the signed file that a device takes: keys, manifest, golden images
pub mod encoders; //   opens an encoder by any name
pub mod link; //       host end of the protocol: in-process, TCP, serial
pub mod device; //     the Linux device: the session of a board over a store in a file
#[cfg(feature = "host")]
pub mod deploy; //     a program and a bundle to another machine, over SSH
pub mod report; //     pictures, tables and pages for people
#[cfg(feature = "host")]
pub mod reproduce; //  the field's lessons, from seed to picture and table
#[cfg(feature = "cli")]
pub mod cli; //        parse, run, exit code
