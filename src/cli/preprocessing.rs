//! Options that state the preprocessing of a foreign ONNX encoder.

use super::isolation::LimitArgs;
use crate::encoders::{KnownPreprocessing, Layout, Stated};

/// On each option: on the struct, clap would put the options of the command that follow it under this heading, too.
pub(super) const HEADING: &str = "Preprocessing of an ONNX encoder without Macula's metadata";

/// Preprocessing and input size of an ONNX file that does not state them.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct PreprocessingArgs {
    #[command(flatten)]
    pub values: ValueArgs,
    /// Input size: SIDE or HEIGHTxWIDTH [default: as declared in the file]
    #[arg(long, value_parser = parse_size, help_heading = HEADING, hide_short_help = true)]
    size: Option<(usize, usize)>,
    /// Input channels: 1 or 3 [default: as declared in the file]
    #[arg(long, value_parser = parse_channels, help_heading = HEADING, hide_short_help = true)]
    channels: Option<usize>,
}

/// Preprocessing without input size, for commands with their own options for it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ValueArgs {
    /// Preprocessing that it was trained with: imagenet, clip, half (-1 to 1), unit (0 to 1) or bytes (0 to 255)
    #[arg(long, value_name = "NAME", value_parser = parse_known, conflicts_with_all = ["mean", "std"], help_heading = HEADING, hide_short_help = true)]
    preprocessing: Option<KnownPreprocessing>,
    /// Mean per channel, 0 to 1, in units of full scale; one value, or one per channel
    #[arg(
        long,
        value_delimiter = ',',
        requires = "std",
        value_name = "M,…",
        allow_negative_numbers = true,
        help_heading = HEADING, hide_short_help = true
    )]
    mean: Vec<f32>,
    /// Standard deviation per channel, above 0 and at most 1, in units of full scale
    #[arg(
        long,
        value_delimiter = ',',
        requires = "mean",
        value_name = "S,…",
        allow_negative_numbers = true,
        help_heading = HEADING, hide_short_help = true
    )]
    std: Vec<f32>,
    /// Input layout: nchw (PyTorch) or nhwc (TensorFlow) [default: as declared in the file]
    #[arg(long, value_parser = parse_layout, help_heading = HEADING, hide_short_help = true)]
    layout: Option<Layout>,
    #[command(flatten)]
    pub limits: LimitArgs,
}

impl PreprocessingArgs {
    /// The stated preprocessing, or `None` if no option was given.
    pub fn stated(&self) -> anyhow::Result<Option<Stated>> {
        let is_sized = self.size.is_some() || self.channels.is_some();
        let stated = self.values.stated(self.size, self.channels)?;
        anyhow::ensure!(
            stated.is_some() || !is_sized,
            "--size and --channels need --preprocessing, or --mean and --std"
        );
        Ok(stated)
    }
}

#[cfg(feature = "host")]
impl PreprocessingArgs {
    /// The options as given, for another process of this program.
    pub fn given(&self) -> Vec<String> {
        let ValueArgs { preprocessing, mean, std, layout, .. } = &self.values;
        let list = |values: &[f32]| {
            let values: Vec<String> = values.iter().map(f32::to_string).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        let options = [
            ("--preprocessing", preprocessing.map(|known| known.name().to_owned())),
            ("--mean", list(mean)),
            ("--std", list(std)),
            ("--layout", layout.map(|layout| layout.name().to_owned())),
            ("--size", self.size.map(|(height, width)| format!("{height}x{width}"))),
            ("--channels", self.channels.map(|channels| channels.to_string())),
        ];
        options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten().collect()
    }
}

impl ValueArgs {
    /// The stated preprocessing with this input size, or `None` if no option was given.
    pub fn stated(&self, size: Option<(usize, usize)>, channels: Option<usize>) -> anyhow::Result<Option<Stated>> {
        let stated = match self.preprocessing {
            Some(known) => Stated::known(known),
            None if self.mean.is_empty() => {
                anyhow::ensure!(self.layout.is_none(), "--layout needs --preprocessing, or --mean and --std");
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
    found.ok_or_else(|| format!("use one of {}", KnownPreprocessing::ALL.map(KnownPreprocessing::name).join(", ")))
}

fn parse_layout(name: &str) -> Result<Layout, String> {
    let found = [Layout::Nchw, Layout::Nhwc].into_iter().find(|layout| layout.name() == name);
    found.ok_or_else(|| "use nchw or nhwc".to_owned())
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
        _ => Err(format!("'{text}' is not a side of 1 to {} pixels", u16::MAX)),
    };
    match text.split_once('x') {
        Some((height, width)) => Ok((side(height)?, side(width)?)),
        None => side(text).map(|side| (side, side)),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, CommandFactory};

    use super::{HEADING, PreprocessingArgs};
    use crate::cli::{Cli, isolation};

    #[test]
    fn shared_headings_cover_only_their_own_options() {
        let shared = PreprocessingArgs::augment_args(clap::Command::new("shared"));
        let own: Vec<_> = shared.get_arguments().map(clap::Arg::get_id).collect();
        for command in Cli::command().get_subcommands() {
            for option in command.get_arguments() {
                let is_shared = [HEADING, isolation::HEADING].map(Some).contains(&option.get_help_heading());
                assert!(!is_shared || own.contains(&option.get_id()), "{} --{}", command.get_name(), option.get_id());
            }
        }
    }
}
