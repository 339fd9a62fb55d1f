//! Options for the readout of an encoder, shared by `macula pretrain` and `macula export`.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Serialize;

use crate::encoder::Pooling;
#[cfg(feature = "onnx")]
use crate::encoder::Readout;

/// Fields of [`Readout`] by their names in `config.toml`; those left out keep their defaults.
#[derive(Clone, Copy, clap::Args, Serialize)]
pub struct ReadoutArgs {
    /// Values of the encoder that become the feature: means of the last layer, means and standard deviations of it or of every
    /// stage, or these with the means of a 2×2 grid [default: grid; of a trained encoder, its own]
    #[arg(long = "readout", value_name = "READOUT")]
    pooling: Option<Pooling>,
    /// Reduce the feature to N dimensions by a linear map (PCA) fitted to unlabelled images [default: no map]
    #[arg(long = "feature-dim", value_name = "N")]
    dim: Option<usize>,
    /// With --feature-dim: whiten, so that weak components count as much as strong ones
    #[arg(long, num_args = 0, default_missing_value = "true")]
    whiten: Option<bool>,
}

impl ReadoutArgs {
    /// The readout that the options ask for in place of `stored`; `None` without options.
    #[cfg(feature = "onnx")]
    pub fn over(&self, stored: Readout) -> Option<Readout> {
        let Self { pooling, dim, whiten } = *self;
        let given = pooling.is_some() || dim.is_some() || whiten.is_some();
        let readout = Readout { pooling: pooling.unwrap_or(stored.pooling), dim, whiten: whiten.unwrap_or(false) };
        given.then_some(readout)
    }
}

impl ValueEnum for Pooling {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}
