//! The host: trains encoders from unlabelled images and packs them for devices.
//!
//! The modules stand in dependency order: each may use those above it and none below.
//! `tests/architecture.rs` checks the order. `ARCHITECTURE.md` is the map.

pub mod rng; //        one seeded random stream per purpose
pub mod files; //      bounded reads, atomic writes
pub mod log; //        the log of a serving device
pub mod memory; //     peak memory of this process
pub mod models; //     the encoders that come with the program
pub mod data; //       datasets: folders, npz, CIFAR, IDX, CSV, phantoms; decoding, splits, duplicates, preprocessing
#[cfg(feature = "camera")]
pub mod camera; //     one picture from a camera of Linux (V4L2)
pub mod augment; //    augmentations and the policies that combine them
pub mod kernel; //     SIMD kernels, selected at run time for the CPU
pub mod nn; //         layers: forward and backward side by side; optimisers
pub mod ranks; //      the processes of one training: MPI, or one alone
pub mod encoder; //    EncoderSpec (plain data) -> network; MACs, parameters, memory
pub mod measure; //    k-NN, accuracy and ROC, intervals, spread of features
pub mod objective; //  losses for pretraining: supervised, rotation, SimCLR, triplet, MoCo, masked
pub mod pretrain; //   training loop, run folder, checkpoints, health
pub mod blob; //       the packed encoder of a device: f16 or int8, memory planned
pub mod native; //     our own encoders on the engine of `macula-engine`
#[cfg(feature = "onnx")]
pub mod runtime; //    runs ONNX files; the only module that uses tract
pub mod evaluate; //   k-NN, linear probe, few-shot episodes, abstention; baselines
#[cfg(feature = "onnx")]
pub mod export; //     ONNX in f32 and f16, blobs, parity report
pub mod isolated; //   runs a foreign ONNX file in a child process with limits
pub mod bundle; //     the signed file for devices: keys, manifest, golden images
pub mod encoders; //   opens an encoder by any name
#[cfg(feature = "host")]
pub mod care; //       near-duplicates, suspicious labels, images unlike all others
pub mod link; //       client of the device protocol: TCP, serial, in-process
pub mod device; //     the Linux device: a session over a store in a file
#[cfg(feature = "host")]
pub mod deploy; //     installs program and bundle on another machine over SSH
pub mod report; //     tables and charts
pub mod explain; //    heat maps: which part of an image decided
#[cfg(feature = "serve")]
pub mod serve; //      the page to teach on, and its API
#[cfg(feature = "host")]
pub mod benchmark; //  tables of several encoders over several tasks
#[cfg(feature = "host")]
pub mod advise; //     which encoder to start from, measured on the images at hand
#[cfg(feature = "host")]
pub mod sweep; //      one training with several settings, compared on tasks
#[cfg(feature = "host")]
pub mod reproduce; //  published findings, from seed to table and chart
#[cfg(feature = "cli")]
pub mod cli; //        commands: parse, call the library, print, exit code
