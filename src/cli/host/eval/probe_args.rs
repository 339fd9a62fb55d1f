//! The arguments of every probe.

use std::str::FromStr;

use super::cache_args::CacheArgs;
use crate::cli::Common;
use crate::cli::images::ImageArgs;
use crate::cli::preprocessing::ValueArgs;
use crate::cli::trust::KeyArgs;
use crate::data::TileSpec;
use crate::encoders::{Baseline, BaselineError};

/// Options of every probe.
#[derive(clap::Args)]
pub struct ProbeArgs {
    /// Encoder: FILE.macula, FILE.onnx, FILE.blob, an export or run folder, a shipped model, raw-pixels, colour-statistics or
    /// random:PRESET
    #[arg(long)]
    pub encoder: String,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub preprocessing: ValueArgs,
    /// Dataset: a folder, .npz, CSV manifest, … or phantoms[:SIZE[:COUNT]]
    #[arg(long)]
    pub data: String,
    /// Split to test on; the probe is trained on the training split
    #[arg(long, default_value = "test", value_parser = ["train", "val", "test"])]
    pub split: String,
    /// Side of the encoder's input, if it is raw-pixels, colour-statistics, random:PRESET, or an ONNX file with stated
    /// preprocessing [default: 32]
    #[arg(long, alias = "image-size")]
    pub size: Option<usize>,
    /// Channels of the encoder's input, if it is one of these: 1 or 3 [default: those of the images]
    #[arg(long, value_parser = channels)]
    pub channels: Option<usize>,
    /// Read images in tiles at this scale, in pixels of the image per pixel of a tile, and take the mean of their features;
    /// the encoder on the whole image, made as small as a tile, is evaluated beside it: SCALE[+SCALE…][,overlap=SHARE]
    /// [,empty=LEVELS][,max=N]
    #[arg(long, value_name = "TILES")]
    pub tiles: Option<TileSpec>,
    /// Baselines, each with the side of its input after @: raw-pixels and colour-statistics (32 pixels unless stated), random
    /// (the network and input of the encoder, untrained), random:PRESET; or none
    #[arg(long, value_name = "NAME[@SIDE],…|none", default_value = "raw-pixels,colour-statistics,random")]
    pub baselines: Baselines,
    #[command(flatten)]
    pub cache: CacheArgs,
    #[command(flatten)]
    pub reading: ImageArgs,
    #[command(flatten)]
    pub common: Common,
}

fn channels(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("must be 1 (grey) or 3 (colour)".to_owned()),
    }
}

/// The baselines of `--baselines`.
#[derive(Clone, Debug, PartialEq)]
pub struct Baselines(pub Vec<Baseline>);

impl FromStr for Baselines {
    type Err = BaselineError;

    fn from_str(text: &str) -> Result<Self, BaselineError> {
        match text {
            "none" => Ok(Self(Vec::new())),
            names => names.split(',').map(str::parse).collect::<Result<_, _>>().map(Self),
        }
    }
}
