//! Errors of pretraining.

use super::collapse::Collapse;
use super::config::ConfigError;
use super::memory::MemoryError;
use super::run_error::RunError;
use super::teacher::TeacherError;
use crate::data::{DataError, ValueRange};
use crate::encoder::{Readout, ReadoutError, SpecError};
use crate::files::WriteError;
use crate::measure::FitError;
use crate::ranks::RankFailure;

/// Pretraining cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum PretrainError {
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A run that is not finished cannot be extended, and no run can be shortened.
    #[error(
        "{path}: {requested} epochs requested, but the run has {epochs} and is at step {step}; only a finished run can be extended, and no run can be shortened"
    )]
    NotExtended {
        /// The run folder.
        path: String,
        /// Steps done.
        step: u64,
        /// Epochs of the run.
        epochs: u64,
        /// Epochs requested.
        requested: u64,
    },
    /// The run folder cannot be used.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A teacher or its features cannot be used.
    #[error(transparent)]
    Teacher(#[from] TeacherError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An image could not be read although it could at the start, or no image can be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The encoder does not take this input.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The dataset is read with another range of raw values than the run.
    #[error("the dataset is read with range {dataset:?}, the run has {run:?}; pass the range of the run")]
    OtherRange {
        /// Range of the dataset.
        dataset: Option<ValueRange>,
        /// Range of the run.
        run: Option<ValueRange>,
    },
    /// There is nothing to train on.
    #[error("{data}: no training images ({skipped} cannot be read)")]
    NoImages {
        /// The dataset.
        data: String,
        /// Images that cannot be read.
        skipped: usize,
    },
    /// An image cannot be read and `strict` is set.
    #[error("{data}: {count} images cannot be read, first {name}: {reason}")]
    Unreadable {
        /// The dataset.
        data: String,
        /// Unreadable images.
        count: usize,
        /// Name of the first.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A method that uses labels needs a label for every image.
    #[error("{data}: {unlabelled} of {images} training images have no label; this method needs a label for each")]
    Unlabelled {
        /// The dataset.
        data: String,
        /// Images without a label.
        unlabelled: usize,
        /// All training images.
        images: usize,
    },
    /// A class has no training images.
    #[error("{data}: class '{class}' has 0 training images; this method needs at least 1")]
    EmptyClass {
        /// The dataset.
        data: String,
        /// The class.
        class: String,
    },
    /// The training images differ from those of the resumed run.
    #[error(
        "{data}: the training images differ from those of the run ({found} now, {expected} at the start; or their names or labels differ)"
    )]
    OtherImages {
        /// The dataset.
        data: String,
        /// Number of images now.
        found: usize,
        /// Number of images at the start of the run.
        expected: usize,
    },
    /// Training images of the resumed run have changed.
    #[error("{data}: {changed} of {images} training images have changed since the start of the run, first {name}")]
    OtherPixels {
        /// The dataset.
        data: String,
        /// The first changed image.
        name: String,
        /// Changed images.
        changed: usize,
        /// All training images.
        images: usize,
    },
    /// The images of the resumed run have changed, and its record of them is not that of its checkpoint.
    #[error(
        "the training images have changed since the start of the run, and {path} does not belong to its checkpoint, so the changed images cannot be named"
    )]
    OtherRecord {
        /// The record.
        path: String,
    },
    /// The loss or a feature is not finite.
    #[error("the loss is {loss} at step {step}: training diverged; try a learning rate below {learning_rate}")]
    NotFinite {
        /// The value found.
        loss: f64,
        /// The step, counted from 1.
        step: u64,
        /// Largest learning rate of the run.
        learning_rate: f32,
    },
    /// A class has too few labelled images for `per_class`.
    #[error("{data}: class '{class}' has {found} labelled training images, {needed} per class are needed")]
    TooFewLabelled {
        /// The dataset.
        data: String,
        /// The class.
        class: String,
        /// Labelled training images of the class.
        found: usize,
        /// Images per class.
        needed: usize,
    },
    /// The encoder to start from has changed since the run was configured.
    #[error("{encoder} has changed: its SHA-256 is {computed}, the run was configured with {stored}")]
    OtherInit {
        /// Its folder.
        encoder: String,
        /// SHA-256 in the configuration.
        stored: String,
        /// SHA-256 now.
        computed: String,
    },
    /// The encoder to start from has another architecture.
    #[error(
        "{encoder} is a {found}, the run has the preset {expected}; a run can only start from its own preset (--encoder {found})"
    )]
    InitPreset {
        /// Its folder.
        encoder: String,
        /// Its preset.
        found: &'static str,
        /// Preset of the run.
        expected: &'static str,
    },
    /// The encoder to start from has another number of input channels.
    #[error("{encoder} has {found} input channels, the run has {expected}; pass --channels {found}")]
    InitChannels {
        /// Its folder.
        encoder: String,
        /// Its channels.
        found: usize,
        /// Channels of the run.
        expected: usize,
    },
    /// A frozen encoder has another readout.
    #[error("{encoder} has the readout {found}, the run has {expected}; a frozen encoder keeps its readout")]
    InitReadout {
        /// Its folder.
        encoder: String,
        /// Its readout.
        found: Readout,
        /// Readout of the run.
        expected: Readout,
    },
    /// The linear map of the readout could not be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The readout does not fit the encoder.
    #[error(transparent)]
    Readout(#[from] ReadoutError),
    /// Another rank failed.
    #[error(transparent)]
    Rank(#[from] RankFailure),
    /// There are more ranks than images in a batch.
    #[error("the batch has {batch_size} images, fewer than the {ranks} ranks; each rank needs one")]
    TooManyRanks {
        /// Images per step.
        batch_size: usize,
        /// Number of ranks.
        ranks: usize,
    },
    /// The run does not fit into the memory that it may take.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The ranks would have different numbers of chunks, whose batch statistics cannot be synchronised.
    #[error(
        "a batch of {batch_size} images cannot be divided evenly by {ranks} ranks, which --chunk with synchronised batch norm needs"
    )]
    UnevenChunks {
        /// Images per step.
        batch_size: usize,
        /// Number of ranks.
        ranks: usize,
    },
    /// A frozen encoder trains in one process.
    #[error("the encoder is frozen, and its small head trains in one process; there are {ranks}")]
    FrozenOnRanks {
        /// Number of ranks.
        ranks: usize,
    },
    /// The ranks have different parameters, although they computed the same steps.
    #[error("at step {step} rank {rank} has other parameters than rank 0; the last checkpoint is valid")]
    RanksDiffer {
        /// Steps done.
        step: u64,
        /// The first rank that differs.
        rank: usize,
    },
    /// The encoder collapsed: it no longer distinguishes images.
    #[error(
        "the encoder collapsed in epoch {epoch}: {sign}. The checkpoint is kept and can be evaluated; start a new run with {advice}"
    )]
    Collapsed {
        /// The epoch, counted from 1.
        epoch: u64,
        /// The symptom of the collapse.
        sign: Collapse,
        /// Settings to change.
        advice: String,
    },
}
