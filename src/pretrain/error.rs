//! Why pretraining could not begin or go on.

use super::collapse::Collapse;
use super::config::ConfigError;
use super::run_error::RunError;
use crate::data::{DataError, ValueRange};
use crate::encoder::SpecError;
use crate::files::WriteError;

/// Pretraining could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum PretrainError {
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// More epochs were asked of a run that is not finished, or fewer than it has.
    #[error(
        "{path}: {asked} epochs asked of a run of {epochs}, at step {step}: only a finished run takes more, and none fewer"
    )]
    NotExtended {
        /// The run folder.
        path: String,
        /// Steps done.
        step: u64,
        /// Epochs it has.
        epochs: u64,
        /// Epochs asked for.
        asked: u64,
    },
    /// The run folder is at fault.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An image could not be read although it could be at the start, or none could.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The encoder does not take this input.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The images are read with another range of raw values than the run says.
    #[error("the data set is read with range {dataset:?}, the run's is {run:?}")]
    OtherRange {
        /// That of the data set.
        dataset: Option<ValueRange>,
        /// That of the run.
        run: Option<ValueRange>,
    },
    /// There is nothing to train on.
    #[error("{data}: no image to train on ({skipped} unreadable)")]
    NoImages {
        /// The data set.
        data: String,
        /// Images that could not be read.
        skipped: usize,
    },
    /// `strict` was asked for and an image is broken.
    #[error("{data}: {count} unreadable images, the first is {name}: {reason}")]
    Unreadable {
        /// The data set.
        data: String,
        /// How many.
        count: usize,
        /// Name of the first.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A method that learns from labels needs them all.
    #[error("{data}: {unlabelled} of {images} training images have no label; this method needs all")]
    Unlabelled {
        /// The data set.
        data: String,
        /// Images without a label.
        unlabelled: usize,
        /// All training images.
        images: usize,
    },
    /// A class could never be learnt.
    #[error("{data}: class '{class}' has 0 training images; this method needs at least 1")]
    EmptyClass {
        /// The data set.
        data: String,
        /// The class.
        class: String,
    },
    /// A resumed run found other images.
    #[error("{data}: its training images are not those of the run ({found} now, {expected} then, or other names)")]
    OtherImages {
        /// The data set.
        data: String,
        /// Number of images now.
        found: usize,
        /// Number of images when the run began.
        expected: usize,
    },
    /// A resumed run found other pixels under the same names.
    #[error("{data}: {name} has other pixels than when the run began, {changed} of {images} training images have")]
    OtherPixels {
        /// The data set.
        data: String,
        /// The first image that differs.
        name: String,
        /// How many differ.
        changed: usize,
        /// All training images.
        images: usize,
    },
    /// The record of a resumed run's training images is not that of its checkpoint.
    #[error("{path} is not the record of the run's checkpoint, and the pixels are not those of the run")]
    OtherRecord {
        /// The record.
        path: String,
    },
    /// Training went astray.
    #[error("the loss is {loss} at step {step}: training diverged; try a learning rate below {learning_rate}")]
    NotFinite {
        /// What was found.
        loss: f64,
        /// The step, counted from 1.
        step: u64,
        /// The largest learning rate of the run.
        learning_rate: f32,
    },
    /// Labels were to be drawn and are too few.
    #[error("{data}: class '{class}' has {found} labelled training images, {asked} a class were asked for")]
    TooFewLabelled {
        /// The data set.
        data: String,
        /// The class.
        class: String,
        /// Labelled training images it has.
        found: usize,
        /// How many were to be drawn.
        asked: usize,
    },
    /// The encoder to start from is another than when the run was described.
    #[error("{encoder} is another encoder than it was: its SHA-256 is {computed}, {stored} was meant")]
    OtherInit {
        /// Where it lies.
        encoder: String,
        /// What was meant.
        stored: String,
        /// What is there.
        computed: String,
    },
    /// The encoder to start from has another architecture.
    #[error("{encoder} is a {found} and the run is of a {asked}: a run starts from the weights of its own preset")]
    InitPreset {
        /// Where it lies.
        encoder: String,
        /// Its preset.
        found: &'static str,
        /// That of the run.
        asked: &'static str,
    },
    /// The encoder to start from sees other channels.
    #[error(
        "{encoder} sees images of {found} channels and the run has {asked}: its first filters fit {found} only (--channels {found})"
    )]
    InitChannels {
        /// Where it lies.
        encoder: String,
        /// Its channels.
        found: usize,
        /// Those of the run.
        asked: usize,
    },
    /// The folder holds a run with other settings.
    #[error("{path} holds a run with other settings")]
    OtherSettings {
        /// The folder.
        path: String,
    },
    /// The encoder no longer tells images apart.
    #[error(
        "the encoder collapsed by the end of epoch {epoch}: {sign}. Its checkpoint is kept and can be evaluated; begin anew with {advice}"
    )]
    Collapsed {
        /// The epoch, counted from 1.
        epoch: u64,
        /// How it shows.
        sign: Collapse,
        /// What to try.
        advice: String,
    },
}
