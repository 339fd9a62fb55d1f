//! The arguments of every probe.

use crate::cli::Common;
use crate::cli::images::ImageArgs;
use crate::cli::preprocessing::ValueArgs;
use crate::cli::trust::KeyArgs;

/// What every probe takes.
#[derive(clap::Args)]
pub struct Asked {
    /// FILE.macula, FILE.onnx, FILE.blob, an export's or a run's folder, a shipped model, raw-pixels, colour-statistics or
    /// random:PRESET
    #[arg(long)]
    pub encoder: String,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub preprocessing: ValueArgs,
    /// A folder, .npz, CSV manifest, … or phantoms[:SIZE[:COUNT]]
    #[arg(long)]
    pub data: String,
    /// The part that is tested on; the training part is what is learned from, or seen unlabelled
    #[arg(long, default_value = "test", value_parser = ["train", "val", "test"])]
    pub split: String,
    /// Side of the input of raw-pixels, random:PRESET, or an ONNX encoder whose preprocessing is stated [default: 32]
    #[arg(long, alias = "image-size")]
    pub size: Option<usize>,
    /// Channels of the input of raw-pixels, random:PRESET, or an ONNX encoder whose preprocessing is stated, 1 or 3
    /// [default: as the images are]
    #[arg(long, value_parser = channels)]
    pub channels: Option<usize>,
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
