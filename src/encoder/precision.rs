//! The arithmetic of a training step.

use serde::{Deserialize, Serialize};

/// Precision of the factors of dense convolutions in training. Sums, statistics, activations in memory and weights are f32 with both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 23 bits of mantissa.
    #[default]
    F32,
    /// 7 bits of mantissa, the range of f32; several times as fast where the CPU multiplies bf16.
    Bf16,
}

impl Precision {
    /// Whether it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// How 3×3 convolutions of stride 1 are computed in training. Both are exact but for rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Product by product. That of a configuration that names none.
    #[default]
    Direct,
    /// Winograd's minimal filtering where it is faster. That of new runs.
    Winograd,
}

impl Algorithm {
    /// Whether it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
