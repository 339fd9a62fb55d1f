//! Evaluation of an encoder's features by k-NN, linear probe and few-shot episodes, and of a device's abstention.
//!
//! Results give balanced accuracy with its 95 % interval first. Every encoder is compared with the baselines *raw pixels*,
//! *colour statistics* and *random encoder* on the same images and episodes.

use crate::data::DataError;
use crate::encoder::{EncodeError, SpecError};
use crate::files::WriteError;

mod abstention;
mod active_learning;
mod classes;
mod colour_statistics;
mod episodes;
mod feature_source;
mod features;
mod few_shot;
mod heads;
mod lbfgs;
mod logistic;
mod operating_point;
mod predictions;
mod probe;
mod random_encoder;
mod raw_pixels;
mod read_images;
mod ridge;
mod tile_attention;
mod tile_source;

pub use abstention::{AbstentionResult, AbstentionTask, DeviceFeatures, GateResult, SetsResult, abstention};
pub use active_learning::{ActivePoint, ActiveResult, ActiveSettings, active_learning};
pub use classes::{labels, leave_out_empty_classes, require_every_class, require_two_classes};
pub use colour_statistics::ColourStatistics;
pub use episodes::{Episode, EpisodePool, EpisodeSettings};
pub use feature_source::FeatureSource;
pub use features::{Progress, corpus_statistics, embed_dataset, readable};
pub use few_shot::{FewShotResult, few_shot, few_shot_by, few_shot_predictions};
pub use heads::HeadKind;
pub use lbfgs::Outcome;
pub use logistic::{LogisticRegression, LogisticSettings};
pub use operating_point::{OperatingPointTask, OperatingPointsResult, PointResult, operating_points};
pub use predictions::{Mistake, Predictions};
pub use probe::{Labelled, ProbeResult, knn_probe, linear_probe};
pub use random_encoder::RandomEncoder;
pub use raw_pixels::RawPixels;
pub use read_images::ReadImages;
pub use tile_attention::{AttentionSettings, TileAttention};
pub use tile_source::{embed_tiles, tile_means, tile_statistics};

pub use crate::measure::{
    ConfusionMatrix, Features, Interval, KnnSettings, PairedDifference, Standing, argmax_rows, corpus_of, knn_scores,
    l2_normalize_rows, roc_auc, roc_auc_one_vs_rest,
};

/// An evaluation could not be done.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// An image or the dataset could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The input is not valid for the network.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The cache of features cannot be written.
    #[error(transparent)]
    Cache(#[from] WriteError),
    /// A feature has a value that is not finite.
    #[error("{encoder}: feature {position} of {image} is {value}, which is not finite")]
    NotFinite {
        /// Name of the encoder.
        encoder: String,
        /// Name of the image.
        image: String,
        /// Index in the feature.
        position: usize,
        /// The value.
        value: f32,
    },
    /// An encoder could not be made.
    #[error("encoder {name}: {message}")]
    Encoder {
        /// The name.
        name: String,
        /// The reason.
        message: String,
    },
    /// No threshold can be chosen.
    #[error("no threshold can be chosen with {shots} labelled images per class; at least 2 are needed")]
    NoThreshold {
        /// Labelled images per class.
        shots: usize,
    },
    /// No head has this name.
    #[error("no head '{name}'; heads are auto, prototype, gaussian, softmax, logistic")]
    UnknownHead {
        /// The name.
        name: String,
    },
    /// A head could not be fitted or applied.
    #[error("the head failed: {message}")]
    Feature {
        /// The reason.
        message: String,
    },
    /// An image has no label.
    #[error("{name} has no label; every evaluated image needs one")]
    Unlabelled {
        /// Name of the image.
        name: String,
    },
    /// All images are of one class.
    #[error("all images of the {part} split are of class '{class}'; at least 2 classes are needed")]
    OneClass {
        /// Its name.
        class: String,
        /// `training` or the test split's name.
        part: String,
    },
    /// The number of ways is out of range.
    #[error("--ways {ways} is out of range: 2 to {classes}, the number of classes with images, are allowed")]
    Ways {
        /// The requested ways.
        ways: usize,
        /// Number of classes with images.
        classes: usize,
    },
    /// A class has too few images for an episode.
    #[error("class '{class}' has {found} images, but an episode needs {needed} ({shots} shots and {queries} queries)")]
    TooFewImages {
        /// Its name.
        class: String,
        /// Images found.
        found: usize,
        /// Images needed.
        needed: usize,
        /// Supports among them.
        shots: usize,
        /// Queries among them.
        queries: usize,
    },
    /// The features of all tiles do not fit into memory.
    #[error(
        "the features of {tiles} tiles take {} MiB, at most {} are allowed; use a larger scale, less overlap or fewer images",
        bytes >> 20, limit >> 20
    )]
    TileMemory {
        /// Tiles so far.
        tiles: usize,
        /// Bytes of their features.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A class has no image in a split.
    #[error("class '{class}' has no image in the {part} split; at least 1 is needed")]
    EmptyClass {
        /// Its name.
        class: String,
        /// `training` or `test`.
        part: &'static str,
    },
    /// The groups cannot be divided between supports and queries.
    #[error(
        "class '{class}': its groups cannot be divided into {shots} shots and {queries} queries without sharing a group"
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
