//! Settings of objectives, as `config.toml` has them.

use serde::{Deserialize, Serialize};

use super::distillation::Distillation;

/// Which triplets of a batch the loss uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Miner {
    /// All; the mean is over those with a loss above 0 (Hermans et al. 2017, arXiv:1703.07737, "batch all").
    All,
    /// For each anchor the farthest positive and the nearest negative (Hermans et al., "batch hard").
    BatchHard,
    /// For each positive pair the nearest negative that is farther than the positive, or the farthest negative if none is
    /// (Schroff et al., section 3.2).
    SemiHard,
}

/// Which views are positives of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positives {
    /// They show the same image. Needs no labels.
    Views,
    /// Their images have the same label.
    Labels,
}

/// Settings of the methods that compare views.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Comparison {
    /// Temperature of NT-Xent and InfoNCE, above 0.
    pub temperature: f32,
    /// Margin of the triplet loss, in squared distances between 0 and 4.
    pub margin: f32,
    /// Which triplets of a batch the loss uses.
    pub miner: Miner,
    /// Which views the triplet loss pulls together.
    pub positives: Positives,
    /// Keys of earlier images in MoCo's queue.
    pub queue: usize,
    /// EMA decay of MoCo's key encoder, below 1.
    pub key_momentum: f32,
    /// Hidden units of the projection head.
    pub projection_hidden: usize,
    /// Outputs of the projection head.
    pub projection_dim: usize,
}

impl Comparison {
    /// MoCo's temperature (He et al. 2020 have 0.07, Chen et al. 2020, arXiv:2003.04297, 0.2), FaceNet's margin and miner.
    pub const DEFAULT: Self = Self {
        temperature: 0.2,
        margin: 0.2,
        miner: Miner::SemiHard,
        positives: Positives::Views,
        queue: 4096,
        key_momentum: 0.999,
        projection_hidden: 256,
        projection_dim: 64,
    };
}

impl Default for Comparison {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The shallow network that is trained on a frozen encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Freeze {
    /// Units per hidden layer.
    pub hidden: usize,
    /// Hidden layers, 0 to 3.
    pub layers: usize,
}

impl Default for Freeze {
    /// Two hidden layers of 200 units: Gidaris et al. 2018, arXiv:1803.07728, section 4.1.
    fn default() -> Self {
        Self { hidden: 200, layers: 2 }
    }
}

/// Everything an objective is built from.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveSettings {
    /// Classes of the dataset.
    pub num_classes: usize,
    /// Share of the target spread evenly over the classes, 0 to 1.
    pub label_smoothing: f32,
    /// The shallow network, if the encoder is frozen.
    pub freeze: Option<Freeze>,
    /// Settings of the methods that compare views.
    pub comparison: Comparison,
    /// Settings of distillation, if the method is.
    pub distillation: Option<Distillation>,
    /// Share of patches that masked-image modelling masks, between 0 and 1.
    pub mask_share: f32,
    /// Channels of the network input.
    pub channels: usize,
    /// Side of the square network input, in pixels.
    pub size: usize,
    /// Side of the encoder's square last activations.
    pub map_side: usize,
}
