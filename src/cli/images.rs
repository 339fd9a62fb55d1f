//! Options of commands that read images.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use rayon::prelude::*;

#[cfg(feature = "dicom")]
use super::dicom_args::DicomArgs;
#[cfg(feature = "host")]
use super::dicom_args::DicomGiven;
use crate::data::decode::{self, DecodeOptions};
use crate::data::{self, Dataset, DecodeStats, Remark, ValueRange};
#[cfg(feature = "host")]
use crate::data::{DataError, DicomReading};

pub use crate::data::decode::EncoderRange;
use crate::device::NamedImage;
use crate::report::text::{count, shown};

/// Options of commands that read images.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ImageArgs {
    /// Raw values of black and white in images of more than 8 bits, such as 0,1023; auto: minimum and maximum of the
    /// training images [default: the range of the encoder, or the full range of the samples]
    ///
    /// Images of up to 8 bits per sample do not need it. Floating-point images need it if values lie outside 0 to 1, signed
    /// and 32-bit images always, except DICOM files, which have a window. Formats: JPEG, PNG, TIFF, BMP, GIF, WebP, PNM and,
    /// on a host, DICOM, recognised by content. The EXIF orientation is applied; of several pages the first is read.
    /// Limits: 67 million pixels (2^26), 65,535 pixels per side, 384 MiB per file, and 384 MiB of memory to decode it.
    #[arg(long, value_name = "LOW,HIGH|auto", allow_hyphen_values = true)]
    range: Option<RangeArg>,
    /// Fail at the first unreadable entry of a dataset instead of leaving it out
    ///
    /// The index of a dataset may take 1 GiB of memory, about five million images. docs/datasets.md describes folders, CSV,
    /// npz, IDX and CIFAR.
    #[arg(long)]
    pub strict: bool,
    #[cfg(feature = "dicom")]
    #[command(flatten)]
    dicom: DicomArgs,
}

/// The value of `--range`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeArg {
    /// Measured on the training images.
    Auto,
    /// Given as LOW,HIGH.
    Stated(ValueRange),
}

impl FromStr for RangeArg {
    type Err = decode::RangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Stated) }
    }
}

impl ImageArgs {
    /// Opens the dataset `name`. Its range is that of `--range`, or of `encoder`. Unless `quiet`, prints a measured range,
    /// remarks and skipped entries.
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

    /// As [`Self::open`] for a dataset that is open.
    ///
    /// # Errors
    /// Those of [`Self::set_range`], and of reading DICOM files.
    pub fn prepare(&self, dataset: &mut Dataset, encoder: EncoderRange, quiet: bool) -> anyhow::Result<()> {
        #[cfg(feature = "dicom")]
        dataset.read_dicom(&self.dicom.reading())?;
        self.set_range(dataset, encoder, quiet)
    }

    /// Sets the range of a dataset whose DICOM files are read as they shall be.
    ///
    /// # Errors
    /// When the reader skipped an entry and `--strict` was given.
    pub fn set_range(&self, dataset: &mut Dataset, encoder: EncoderRange, quiet: bool) -> anyhow::Result<()> {
        if let Some((name, reason)) = dataset.skipped.first().filter(|_| self.strict) {
            bail!("{}: {} unreadable, the first {name}: {reason}", dataset.name, count(dataset.skipped.len(), "file"));
        }
        let options = match self.range {
            Some(RangeArg::Auto) => {
                let range = measured(dataset)?;
                if !quiet {
                    eprintln!("{}: --range {range}, measured on the training images", dataset.name);
                }
                DecodeOptions { range: Some(range), ..DecodeOptions::default() }
            }
            Some(RangeArg::Stated(_)) | None => self.options(encoder)?,
        };
        let DecodeOptions { window, frame, .. } = dataset.decode;
        dataset.decode = DecodeOptions { window, frame, ..options };
        Ok(())
    }

    /// The given options of reading DICOM files, if there are any.
    #[cfg(feature = "host")]
    pub fn dicom_given(&self) -> Option<DicomGiven> {
        Some(self.dicom.given()).filter(|given| !given.is_none())
    }

    /// Reads DICOM files of a dataset that was just opened as `base` says, unless an option says otherwise.
    ///
    /// # Errors
    /// Those of [`Dataset::read_dicom`].
    #[cfg(feature = "host")]
    pub fn read_dicom(&self, dataset: &mut Dataset, base: DicomReading) -> Result<(), DataError> {
        dataset.read_dicom(&self.dicom.given().over(base))
    }

    /// Decodes image files, in order. Unless `quiet`, prints remarks.
    pub fn read(&self, paths: &[PathBuf], encoder: EncoderRange, quiet: bool) -> anyhow::Result<Vec<NamedImage>> {
        let (options, stats) = (self.options(encoder)?, DecodeStats::default());
        #[cfg(feature = "dicom")]
        let options = self.dicom.of_single_files()?.over(options);
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

    /// The value of `--range`, or the range of a window that is given by its numbers.
    pub fn given(&self) -> Option<RangeArg> {
        #[cfg(feature = "dicom")]
        let of_window = self.dicom.range().map(RangeArg::Stated);
        #[cfg(not(feature = "dicom"))]
        let of_window = None;
        self.range.or(of_window)
    }

    /// The range given as LOW,HIGH, or as a window.
    pub fn stated(&self) -> Option<ValueRange> {
        match self.given() {
            Some(RangeArg::Stated(range)) => Some(range),
            Some(RangeArg::Auto) | None => None,
        }
    }

    fn options(&self, encoder: EncoderRange) -> anyhow::Result<DecodeOptions> {
        match (self.given(), encoder) {
            (None, encoder) | (_, encoder @ EncoderRange::Irrelevant) => Ok(DecodeOptions::for_encoder(encoder)),
            (Some(RangeArg::Stated(range)), _) => Ok(DecodeOptions { range: Some(range), ..DecodeOptions::default() }),
            (Some(RangeArg::Auto), _) => {
                bail!("--range auto needs a dataset; pass LOW,HIGH for single images")
            }
        }
    }
}

/// Prints remarks on images to standard error, except that the EXIF orientation was applied.
pub fn print_remarks(remarks: &[Remark]) {
    for remark in remarks.iter().filter(|remark| !matches!(remark, Remark::Rotated { .. })) {
        eprintln!("remark: {}", shown(&remark.to_string()));
    }
}

/// Measures the range of the training images.
pub fn measured(dataset: &Dataset) -> anyhow::Result<ValueRange> {
    let indices = dataset.train_indices();
    ensure!(!indices.is_empty(), "{}: --range auto needs training images, and there are none", dataset.name);
    let range = dataset.measure_range(&indices)?;
    range.with_context(|| format!("{}: no image has more than 8 bits per sample; leave --range out", dataset.name))
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
