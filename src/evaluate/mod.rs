//! How good an encoder's features are: k-NN, linear probe, few-shot episodes, beside the baselines; and whether a
//! device's verdicts keep what they promise.
//!
//! Every figure is balanced accuracy first, with its 95 % interval, and every encoder is judged on
//! the same images and the same episodes as *raw pixels* and a *random encoder*.

use crate::data::DataError;
use crate::encoder::{EncodeError, SpecError};

mod abstention;
mod classes;
mod colour_statistics;
mod episodes;
mod features;
mod few_shot;
mod heads;
mod lbfgs;
mod logistic;
mod probe;
mod random_encoder;
mod raw_pixels;

pub use abstention::{AbstentionResult, AbstentionTask, GateResult, Seen, SetsResult, abstention};
pub use classes::{labels, leave_out_empty_classes, require_every_class, require_two_classes};
pub use colour_statistics::ColourStatistics;
pub use episodes::{Episode, EpisodePool, EpisodeSettings};
pub use features::{Progress, corpus_statistics, embed_dataset, readable};
pub use few_shot::{FewShotResult, few_shot};
pub use heads::HeadKind;
pub use lbfgs::Outcome;
pub use logistic::{LogisticRegression, LogisticSettings};
pub use probe::{Labelled, ProbeResult, knn_probe, linear_probe};
pub use random_encoder::RandomEncoder;
pub use raw_pixels::RawPixels;

pub use crate::measure::{
    ConfusionMatrix, Features, Interval, KnnSettings, PairedDifference, Standing, argmax_rows, corpus_of, knn_scores,
    l2_normalize_rows, roc_auc, roc_auc_one_vs_rest,
};

/// An evaluation cannot be done, and why.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// An image or the data set cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// No network can be made for such input.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A feature holds a value that is not finite.
    #[error("{encoder}: feature {position} of {image} is {value}, which is not finite")]
    NotFinite {
        /// Name of the encoder.
        encoder: String,
        /// Name of the image.
        image: String,
        /// Index in the feature.
        position: usize,
        /// What was found.
        value: f32,
    },
    /// An encoder was found but cannot be opened.
    #[error("encoder {name}: {message}")]
    Encoder {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// No head has this name.
    #[error("no head is called '{name}': there are auto, prototype, gaussian, softmax, logistic")]
    UnknownHead {
        /// What was asked for.
        name: String,
    },
    /// A head refused a feature or a task.
    #[error("the head refuses: {message}")]
    Feature {
        /// What it said.
        message: String,
    },
    /// Labels are needed.
    #[error("{name} has no label; evaluation needs one for every image it uses")]
    Unlabelled {
        /// Name of the image.
        name: String,
    },
    /// There is nothing to tell apart.
    #[error(
        "all images of the {part} part are of one class, '{class}': any encoder would be right every time; at least 2 classes are needed"
    )]
    OneClass {
        /// Its name.
        class: String,
        /// `training`, or the split that is tested on.
        part: String,
    },
    /// Fewer classes than an episode needs.
    #[error(
        "{asked} ways asked of {classes} classes that have images: an episode takes at least 2 ways and at most one per class"
    )]
    Ways {
        /// What was asked for.
        asked: usize,
        /// Classes that have images.
        classes: usize,
    },
    /// A class has too few images for an episode.
    #[error(
        "class '{class}' has too few images to draw from: {found}, where an episode needs {needed} (shots: {shots}, queries: {queries})"
    )]
    TooFewImages {
        /// Its name.
        class: String,
        /// Images there are.
        found: usize,
        /// Images needed.
        needed: usize,
        /// Of them, supports.
        shots: usize,
        /// Of them, queries.
        queries: usize,
    },
    /// A class has no image to learn from or to be tested on.
    #[error("class '{class}' has 0 images in the {part} part, at least 1 is needed")]
    EmptyClass {
        /// Its name.
        class: String,
        /// `training` or `test`.
        part: &'static str,
    },
    /// Groups cannot be divided so that both sides have enough.
    #[error(
        "class '{class}': its groups cannot be divided into shots ({shots}) and queries ({queries}) without one being on both sides"
    )]
    GroupsTooCoarse {
        /// Its name.
        class: String,
        /// Supports needed.
        shots: usize,
        /// Queries needed.
        queries: usize,
    },
}

impl From<macula_edge::head::HeadError> for EvaluateError {
    fn from(error: macula_edge::head::HeadError) -> Self {
        Self::Feature { message: error.to_string() }
    }
}
