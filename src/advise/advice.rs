//! The advice with everything that was measured.

use serde::Serialize;

use super::compare::Figures;
use super::images::ImagesFound;
use super::recommendation::Recommendation;
use super::trial::{Speed, Trial};

/// Going on with an encoder on the images, as the commands do it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Training {
    /// Images per step.
    pub batch_size: usize,
    /// Passes over the training images.
    pub epochs: u64,
    /// Expected seconds on this machine.
    pub seconds: f64,
}

/// The advice with everything that was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The dataset.
    pub data: String,
    /// What it has.
    pub images: ImagesFound,
    /// Images that the figures are of: for statistics, and for episodes.
    pub sampled: [usize; 2],
    /// What a reader of the figures should know: leaky splits, repeated images.
    pub remarks: Vec<String>,
    /// Numbers of shots of the episodes; empty without usable labels.
    pub shots: Vec<usize>,
    /// The floors, then the shipped encoders.
    pub encoders: Vec<Figures>,
    /// Encoders for which there was no time.
    pub not_measured: Vec<String>,
    /// Speed of training from the encoder to start from.
    pub speed: Option<Speed>,
    /// What going on takes on this machine.
    pub training: Option<Training>,
    /// The short training, if there was one.
    pub trial: Option<Trial>,
    /// The encoder to start from, and whether to go on with it.
    pub recommendation: Recommendation,
    /// The advice in words.
    pub sentences: Vec<String>,
    /// Commands to run next.
    pub commands: Vec<String>,
}
