//! The readout: from the values of a network to the feature.
//!
//! First the values are pooled over pixels, then an optional linear map reduces the pooled values to a chosen dimension. The
//! mean of the last value alone is the usual readout, and throws most of the network's information away: earlier stages
//! describe texture, deviations how evenly a pattern is spread, and cells where it is.

use serde::{Deserialize, Serialize};

/// What is taken of which values, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean over pixels of the last value.
    #[default]
    Mean,
    /// Means of the last value, then its standard deviations.
    MeanStd,
    /// For each stage, in order: means of its output, then standard deviations.
    Stages,
    /// As [`Self::Stages`], then the means of the cells of a 2×2 grid over the last value, row by row.
    Grid,
}

impl Pooling {
    /// All, fewest values first.
    pub const ALL: [Self; 4] = [Self::Mean, Self::MeanStd, Self::Stages, Self::Grid];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::MeanStd => "mean-std",
            Self::Stages => "stages",
            Self::Grid => "grid",
        }
    }

    /// Whether it takes the output of every stage rather than the last value alone.
    pub fn takes_stages(self) -> bool {
        matches!(self, Self::Stages | Self::Grid)
    }

    /// Whether it takes standard deviations.
    pub fn takes_std(self) -> bool {
        self != Self::Mean
    }

    /// Whether it takes the cells of the last value.
    pub fn takes_cells(self) -> bool {
        self == Self::Grid
    }
}

/// From the values of a network to the feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readout {
    /// The values that are pooled, and how.
    #[serde(default)]
    pub pooling: Pooling,
    /// Outputs of the linear map ([`LinearMap`]), which is fitted on unlabelled images; the pooled values themselves are the
    /// feature if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dim: Option<usize>,
    /// Whether the map whitens, so that each of its outputs varies alike; otherwise they are principal components.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whiten: bool,
}

impl Readout {
    /// Pooling without a linear map.
    pub fn pooled(pooling: Pooling) -> Self {
        Self { pooling, ..Self::default() }
    }

    /// Whether it is [`Pooling::Mean`] without a linear map, the readout of encoders that state none.
    pub fn is_mean(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Readout {
    /// For instance `stages`, or `stages, 128 dimensions, whitened`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.pooling.name())?;
        if let Some(dim) = self.dim {
            write!(f, ", {dim} dimensions{}", if self.whiten { ", whitened" } else { "" })?;
        }
        Ok(())
    }
}

/// The linear map of a readout: P pooled values to D outputs, `weight · pooled + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearMap {
    /// `[D, P]`, row-major.
    pub weight: Vec<f32>,
    /// `[D]`.
    pub bias: Vec<f32>,
}

impl LinearMap {
    /// Writes the outputs `[D]` of one pooled vector `[P]`.
    ///
    /// # Panics
    /// When the lengths are not those of the map.
    pub fn apply(&self, pooled: &[f32], outputs: &mut [f32]) {
        assert_eq!(outputs.len(), self.bias.len(), "one output per bias");
        assert_eq!(self.weight.len(), self.bias.len() * pooled.len(), "one weight per output and input");
        for ((output, row), bias) in outputs.iter_mut().zip(self.weight.chunks(pooled.len())).zip(&self.bias) {
            *output = row.iter().zip(pooled).fold(*bias, |sum, (weight, value)| sum + weight * value);
        }
    }
}

/// Added to a variance before its root, in all precisions: `std = √(variance + ε)`. As the ε of batch norm. It bounds the
/// gradient of the root, and f16 holds it with an error below 1 %.
pub const STD_EPSILON: f32 = 1e-5;
