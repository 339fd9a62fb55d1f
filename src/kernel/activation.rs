//! Activations: ReLU and ReLU6, fused with the batch norm or sum before them.

use serde::{Deserialize, Serialize};

/// Activation after a batch norm or a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// None.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`, Sandler et al. 2018, arXiv:1801.04381.
    Relu6,
}

impl Activation {
    /// `y` of one `x`; the slow reference.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Activation::Identity => x,
            Activation::Relu => x.max(0.0),
            Activation::Relu6 => x.clamp(0.0, 6.0),
        }
    }

    /// Whether the gradient passes at `x`; at the kinks it does not.
    pub fn passes(self, x: f32) -> bool {
        match self {
            Activation::Identity => true,
            Activation::Relu => x > 0.0,
            Activation::Relu6 => x > 0.0 && x < 6.0,
        }
    }
}
