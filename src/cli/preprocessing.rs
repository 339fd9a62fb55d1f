//! Options that state the preprocessing of an ONNX encoder from elsewhere.

use super::isolation::LimitArgs;
use crate::encoders::{KnownPreprocessing, Layout, Stated};

/// Preprocessing of an ONNX file that does not state it itself, and its input.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "An ONNX encoder without Macula's metadata")]
pub struct PreprocessingArgs {
    #[command(flatten)]
    pub values: ValueArgs,
    /// Side of its input, or HEIGHTxWIDTH [default: what the file declares]
    #[arg(long, value_parser = parse_size, hide_short_help = true)]
    size: Option<(usize, usize)>,
    /// Channels of its input, 1 or 3 [default: what the file declares]
    #[arg(long, value_parser = parse_channels, hide_short_help = true)]
    channels: Option<usize>,
}

/// The values alone, for a command whose own options say size and channels.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "An ONNX encoder without Macula's metadata")]
pub struct ValueArgs {
    /// What it was trained with: imagenet, clip, half (-1 to 1), unit (0 to 1) or bytes (0 to 255)
    #[arg(long, value_name = "NAME", value_parser = parse_known, conflicts_with_all = ["mean", "std"], hide_short_help = true)]
    preprocessing: Option<KnownPreprocessing>,
    /// Mean of each channel in units of full scale, 0 to 1; one for all, or one each
    #[arg(
        long,
        value_delimiter = ',',
        requires = "std",
        value_name = "M,…",
        allow_negative_numbers = true,
        hide_short_help = true
    )]
    mean: Vec<f32>,
    /// Standard deviation of each channel in units of full scale, above 0 and at most 1
    #[arg(
        long,
        value_delimiter = ',',
        requires = "mean",
        value_name = "S,…",
        allow_negative_numbers = true,
        hide_short_help = true
    )]
    std: Vec<f32>,
    /// Order of its input's dimensions, nchw (PyTorch) or nhwc (TensorFlow) [default: what the file declares]
    #[arg(long, value_parser = parse_layout, hide_short_help = true)]
    layout: Option<Layout>,
    #[command(flatten)]
    pub limits: LimitArgs,
}

impl PreprocessingArgs {
    /// What was stated; nothing where no option was given.
    pub fn stated(&self) -> anyhow::Result<Option<Stated>> {
        let is_sized = self.size.is_some() || self.channels.is_some();
        let stated = self.values.stated(self.size, self.channels)?;
        anyhow::ensure!(
            stated.is_some() || !is_sized,
            "--size and --channels go with --preprocessing, or with --mean and --std"
        );
        Ok(stated)
    }
}

impl ValueArgs {
    /// What was stated with this input; nothing where no value was given.
    pub fn stated(&self, size: Option<(usize, usize)>, channels: Option<usize>) -> anyhow::Result<Option<Stated>> {
        let stated = match self.preprocessing {
            Some(known) => Stated::known(known),
            None if self.mean.is_empty() => {
                anyhow::ensure!(self.layout.is_none(), "--layout goes with --preprocessing, or with --mean and --std");
                return Ok(None);
            }
            None => Stated { mean: self.mean.clone(), std: self.std.clone(), ..Stated::default() },
        };
        stated.check()?;
        Ok(Some(Stated { size, channels, layout: self.layout, ..stated }))
    }
}

fn parse_known(name: &str) -> Result<KnownPreprocessing, String> {
    let found = KnownPreprocessing::ALL.into_iter().find(|known| known.name() == name);
    found.ok_or_else(|| format!("there are {}", KnownPreprocessing::ALL.map(KnownPreprocessing::name).join(", ")))
}

fn parse_layout(name: &str) -> Result<Layout, String> {
    let found = [Layout::Nchw, Layout::Nhwc].into_iter().find(|layout| layout.name() == name);
    found.ok_or_else(|| "there are nchw and nhwc".to_owned())
}

fn parse_channels(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("must be 1 (grey) or 3 (colour)".to_owned()),
    }
}

/// `224` or `224x160`.
fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| match text.parse::<usize>() {
        Ok(side) if (1..=usize::from(u16::MAX)).contains(&side) => Ok(side),
        _ => Err(format!("'{text}' is no side of 1 to {} pixels", u16::MAX)),
    };
    match text.split_once('x') {
        Some((height, width)) => Ok((side(height)?, side(width)?)),
        None => side(text).map(|side| (side, side)),
    }
}
