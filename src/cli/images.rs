//! How the commands that read images read them: one option for all.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use rayon::prelude::*;

use crate::data::decode::{self, DecodeOptions};
use crate::data::{self, Dataset, DecodeStats, Remark, ValueRange};

pub use crate::data::decode::EncoderRange;
use crate::device::NamedImage;
use crate::report::text::{count, shown};

/// Options of all commands that read images.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ImageArgs {
    /// Raw values that are black and white in images of more than 8 bits, such as 0,1023, or auto: the smallest and
    /// largest of the training images [default: the range of the encoder, else 0 to the largest 16-bit number]
    ///
    /// Images of up to 8 bits a sample are read as they are. Floating-point images need it where values lie outside of
    /// 0 to 1, signed and 32-bit ones always. JPEG, PNG, TIFF, BMP, GIF, WebP and PNM are read, known by their content,
    /// turned upright as EXIF says, the first of several pages. One image may have 67 million pixels (2^26), 65,535 a
    /// side, in a file of 384 MiB, and decoding it may take 384 MiB.
    #[arg(long, value_name = "LOW,HIGH|auto", allow_hyphen_values = true)]
    range: Option<RangeArg>,
    /// Fail at the first entry of a dataset that cannot be read, rather than leave it out and count it
    ///
    /// The index of a dataset may take 1 GiB of memory, which is some five million images; docs/datasets.md says how
    /// folders, CSV, npz, IDX and CIFAR are read.
    #[arg(long)]
    pub strict: bool,
}

/// A range, stated or to be measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeArg {
    /// Measured on the training images.
    Auto,
    /// Stated.
    Stated(ValueRange),
}

impl FromStr for RangeArg {
    type Err = decode::RangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Stated) }
    }
}

impl ImageArgs {
    /// Opens the data set `name`, to be read with the range of `encoder` unless another one was given; a range that is
    /// measured, remarks and what was skipped are printed, unless `quiet`.
    pub fn open(&self, name: &str, seed: u64, encoder: EncoderRange, quiet: bool) -> anyhow::Result<Dataset> {
        let mut dataset = data::open_named(name, seed)?;
        self.prepare(&mut dataset, encoder, quiet)?;
        if !quiet {
            dataset.remarks.iter().for_each(|remark| eprintln!("remark: {}", shown(&remark.to_string())));
            if let Some((name, reason)) = dataset.skipped.first() {
                let left_out = count(dataset.skipped.len(), "file");
                eprintln!("left out: {left_out}, the first {}: {}", shown(name), shown(reason));
            }
        }
        Ok(dataset)
    }

    /// As [`Self::open`] for a data set that is open.
    ///
    /// # Errors
    /// What the reader skipped, where `--strict` was given.
    pub fn prepare(&self, dataset: &mut Dataset, encoder: EncoderRange, quiet: bool) -> anyhow::Result<()> {
        if let Some((name, reason)) = dataset.skipped.first().filter(|_| self.strict) {
            bail!(
                "{}: {} of it cannot be read, the first {name}: {reason}",
                dataset.name,
                count(dataset.skipped.len(), "file")
            );
        }
        dataset.decode = match self.range {
            Some(RangeArg::Auto) => {
                let range = measured(dataset)?;
                if !quiet {
                    eprintln!("{}: --range {range}, measured on the training images", dataset.name);
                }
                DecodeOptions { range: Some(range), ..DecodeOptions::default() }
            }
            Some(RangeArg::Stated(_)) | None => self.options(encoder)?,
        };
        Ok(())
    }

    /// Decodes image files, in order. What must be known of them is printed, unless `quiet`.
    pub fn read(&self, paths: &[PathBuf], encoder: EncoderRange, quiet: bool) -> anyhow::Result<Vec<NamedImage>> {
        let (options, stats) = (self.options(encoder)?, DecodeStats::default());
        let read = |path: &PathBuf| {
            let decoded = decode::read(path, &options)?;
            stats.add(&decoded);
            Ok(NamedImage { name: path.display().to_string(), image: decoded.image })
        };
        let images = paths.par_iter().map(read).collect::<anyhow::Result<_>>()?;
        if !quiet && !options.measure {
            print_remarks(&stats.remarks(self.stated()));
        }
        Ok(images)
    }

    /// What was given; nothing is measured.
    pub fn given(&self) -> Option<RangeArg> {
        self.range
    }

    /// The range that was stated.
    pub fn stated(&self) -> Option<ValueRange> {
        match self.range {
            Some(RangeArg::Stated(range)) => Some(range),
            Some(RangeArg::Auto) | None => None,
        }
    }

    fn options(&self, encoder: EncoderRange) -> anyhow::Result<DecodeOptions> {
        let (range, needs_range) = match (self.range, encoder) {
            (_, EncoderRange::Irrelevant) => return Ok(DecodeOptions { measure: true, ..DecodeOptions::default() }),
            (Some(RangeArg::Stated(range)), _) => (Some(range), false),
            (Some(RangeArg::Auto), _) => {
                bail!("--range auto is measured on a data set; give LOW,HIGH for single images")
            }
            (None, EncoderRange::Known(range)) => (range, false),
            (None, EncoderRange::Unknown) => (None, true),
        };
        Ok(DecodeOptions { range, needs_range, ..DecodeOptions::default() })
    }
}

/// Prints remarks on images that were read, to standard error. That pictures were turned upright is what everybody expects.
pub fn print_remarks(remarks: &[Remark]) {
    for remark in remarks.iter().filter(|remark| !matches!(remark, Remark::Rotated { .. })) {
        eprintln!("remark: {}", shown(&remark.to_string()));
    }
}

/// The range of the training images.
pub fn measured(dataset: &Dataset) -> anyhow::Result<ValueRange> {
    let indices = dataset.train_indices();
    ensure!(!indices.is_empty(), "{} has no training images to measure --range auto on", dataset.name);
    let range = dataset.measure_range(&indices)?;
    range.with_context(|| {
        format!("--range auto: no image of {} has more than 8 bits a sample; leave it out", dataset.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_range_comes_before_that_of_the_encoder() {
        let [given, own] = [[0.0, 9.0], [0.0, 5.0]].map(|[low, high]| ValueRange::new(low, high).unwrap());
        let with = |range| ImageArgs { range, ..ImageArgs::default() };
        let stated = with(Some(RangeArg::Stated(given)));
        let cases = [
            (&stated, EncoderRange::Known(Some(own)), Some(given), false),
            (&stated, EncoderRange::Unknown, Some(given), false),
            (&with(None), EncoderRange::Known(Some(own)), Some(own), false),
            (&with(None), EncoderRange::Known(None), None, false),
            (&with(None), EncoderRange::Unknown, None, true),
        ];
        for (args, encoder, range, needs_range) in cases {
            let options = args.options(encoder).unwrap();
            assert_eq!((options.range, options.needs_range), (range, needs_range));
        }
        assert!(with(Some(RangeArg::Auto)).options(EncoderRange::Known(None)).is_err());
        assert_eq!("auto".parse(), Ok(RangeArg::Auto));
        assert_eq!("0,9".parse(), Ok(RangeArg::Stated(given)));
        assert!("dark".parse::<RangeArg>().is_err());
    }
}
