//! Preprocessing that the user states for an ONNX file whose metadata has none.

use crate::data::{Preprocessing, ResizeFilter, ValueRange};
use crate::encoder::Layout;

/// Mean and standard deviation of well-known training sets and value ranges, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownPreprocessing {
    /// Mean and deviation of ImageNet: torchvision, timm.
    Imagenet,
    /// Mean and deviation of CLIP's training images.
    Clip,
    /// -1 to 1: mean 0.5, deviation 0.5.
    Half,
    /// 0 to 1: mean 0, deviation 1.
    Unit,
    /// 0 to 255: mean 0, deviation 1 / 255.
    Bytes,
}

impl KnownPreprocessing {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Imagenet, Self::Clip, Self::Half, Self::Unit, Self::Bytes];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imagenet => "imagenet",
            Self::Clip => "clip",
            Self::Half => "half",
            Self::Unit => "unit",
            Self::Bytes => "bytes",
        }
    }

    /// Mean and deviation of red, green and blue, or one for all channels.
    fn values(self) -> (Vec<f32>, Vec<f32>) {
        match self {
            Self::Imagenet => (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]),
            // Radford et al. 2021, the authors' code.
            Self::Clip => (vec![0.481_454_66, 0.457_827_5, 0.408_210_73], vec![0.268_629_54, 0.261_302_6, 0.275_777_1]),
            Self::Half => (vec![0.5], vec![0.5]),
            Self::Unit => (vec![0.0], vec![1.0]),
            Self::Bytes => (vec![0.0], vec![1.0 / 255.0]),
        }
    }
}

/// Preprocessing stated by the user. A field that is `None` comes from the ONNX file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stated {
    /// Mean of each channel in units of full scale, 0 to 1; one for all, or one each.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel in units of full scale, above 0 and at most 1.
    pub std: Vec<f32>,
    /// Rows and columns of the input.
    pub size: Option<(usize, usize)>,
    /// Channels of the input, 1 or 3.
    pub channels: Option<usize>,
    /// Order of the input's dimensions.
    pub layout: Option<Layout>,
    /// Raw values of black and white; `None` for the full range of the pixel type.
    pub range: Option<ValueRange>,
}

/// The stated preprocessing is invalid or does not fit the file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatedError {
    /// A value is out of range.
    #[error("{what} {value} is not {allowed}{}", in_bytes(*value))]
    Unit {
        /// `mean` or `standard deviation`.
        what: &'static str,
        /// The stated value.
        value: f32,
        /// The allowed range.
        allowed: &'static str,
    },
    /// The number of values is neither 1 nor the number of channels.
    #[error("--{what} has {found} values for {channels} channels; give 1 or {channels}")]
    Count {
        /// `mean` or `std`.
        what: &'static str,
        /// Number of stated values.
        found: usize,
        /// Channels of the input.
        channels: usize,
    },
    /// Neither the file nor the user states the size of the input.
    #[error("the file does not state the size of its input; pass --size")]
    OpenSize,
    /// The size is out of range.
    #[error("{0}")]
    Shape(macula_edge::image::ImageError),
    /// The file declares another order of dimensions.
    #[error("the layout of its input is {found}, not {stated} as --layout states")]
    Layout {
        /// The layout in the file.
        found: &'static str,
        /// The stated layout.
        stated: &'static str,
    },
}

/// A hint for a value that was given in units of 0 to 255.
fn in_bytes(value: f32) -> String {
    match value > 1.0 && value <= 255.0 {
        true => format!("; in units of 0 to 255? Divide by 255: {:.4}", value / 255.0),
        false => String::new(),
    }
}

/// The input that an ONNX file declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeclaredInput {
    pub channels: usize,
    pub size: Option<(usize, usize)>,
    pub layout: Layout,
}

impl Stated {
    /// Preprocessing by name.
    pub fn known(known: KnownPreprocessing) -> Self {
        let (mean, std) = known.values();
        Self { mean, std, ..Self::default() }
    }

    /// Checks that every value is in range.
    ///
    /// # Errors
    /// The first value that is not.
    pub fn check(&self) -> Result<(), StatedError> {
        let outside = |value: &&f32| !(0.0..=1.0).contains(*value);
        if let Some(&value) = self.mean.iter().find(outside) {
            return Err(StatedError::Unit { what: "mean", value, allowed: "in 0 to 1" });
        }
        match self.std.iter().find(|value| outside(value) || **value == 0.0) {
            Some(&value) => {
                Err(StatedError::Unit { what: "standard deviation", value, allowed: "above 0 and at most 1" })
            }
            None => Ok(()),
        }
    }

    /// The complete preprocessing for a file whose input is `declared`.
    pub(super) fn resolve(&self, declared: DeclaredInput) -> Result<Preprocessing, StatedError> {
        self.check()?;
        if let Some(stated) = self.layout.filter(|&stated| stated != declared.layout) {
            return Err(StatedError::Layout { found: declared.layout.name(), stated: stated.name() });
        }
        let channels = self.channels.unwrap_or(declared.channels);
        let (height, width) = self.size.or(declared.size).ok_or(StatedError::OpenSize)?;
        let (mean, std) = (each("mean", &self.mean, channels)?, each("std", &self.std, channels)?);
        let unit = Preprocessing::unit(channels, height, width);
        let recipe = Preprocessing { filter: ResizeFilter::Triangle, mean, std, range: self.range, ..unit };
        recipe.shape().map_err(StatedError::Shape)?;
        Ok(recipe)
    }
}

/// Repeats a single value for every channel.
fn each(what: &'static str, values: &[f32], channels: usize) -> Result<Vec<f32>, StatedError> {
    match values {
        [one] => Ok(vec![*one; channels]),
        values if values.len() == channels => Ok(values.to_vec()),
        values => Err(StatedError::Count { what, found: values.len(), channels }),
    }
}

impl From<&Preprocessing> for Stated {
    /// All fields stated, as a store records them.
    fn from(recipe: &Preprocessing) -> Self {
        let Preprocessing { channels, height, width, mean, std, range, .. } = recipe.clone();
        Self { mean, std, size: Some((height, width)), channels: Some(channels), layout: None, range }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(channels: usize, size: Option<(usize, usize)>) -> DeclaredInput {
        DeclaredInput { channels, size, layout: Layout::Nchw }
    }

    #[test]
    fn named_preprocessing_has_its_published_values() {
        let resolve = |known| Stated::known(known).resolve(declared(3, Some((8, 6)))).unwrap();
        for known in KnownPreprocessing::ALL {
            let recipe = resolve(known);
            assert_eq!((recipe.channels, recipe.height, recipe.width), (3, 8, 6), "{}", known.name());
            assert_eq!(Stated::from(&recipe).resolve(declared(3, None)).unwrap(), recipe);
        }
        assert_eq!(resolve(KnownPreprocessing::Imagenet).mean, [0.485, 0.456, 0.406]);
        let white = resolve(KnownPreprocessing::Bytes).normalise(&[255; 3]);
        assert!(white.iter().all(|value| (value - 255.0).abs() < 1e-3), "{white:?}");
        assert_eq!(resolve(KnownPreprocessing::Half).normalise(&[0; 3]), [-1.0; 3]);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let check =
            |mean: &[f32], std: &[f32]| Stated { mean: mean.to_vec(), std: std.to_vec(), ..Stated::default() }.check();
        assert_eq!(check(&[0.0, 1.0, 0.5], &[1.0, 0.004, 0.5]), Ok(()));
        for (mean, std) in [(123.675, 0.5), (-0.1, 0.5), (f32::NAN, 0.5), (0.5, 58.395), (0.5, 0.0), (0.5, f32::NAN)] {
            assert!(matches!(check(&[0.5, mean], &[0.5, std]), Err(StatedError::Unit { .. })), "{mean} {std}");
        }
        assert!(check(&[123.675], &[0.5]).unwrap_err().to_string().contains("0.4850"));
    }

    #[test]
    fn preprocessing_that_does_not_fit_the_file_is_refused() {
        let stated = Stated { mean: vec![0.5; 2], std: vec![0.5], ..Stated::default() };
        let count = stated.resolve(declared(3, Some((8, 8)))).unwrap_err();
        assert_eq!(count, StatedError::Count { what: "mean", found: 2, channels: 3 });
        let half = Stated::known(KnownPreprocessing::Half);
        assert_eq!(half.resolve(declared(1, None)).unwrap_err(), StatedError::OpenSize);
        let huge = Stated { size: Some((70_000, 1)), ..half.clone() };
        assert!(matches!(huge.resolve(declared(1, None)), Err(StatedError::Shape(_))));
        let other = Stated { layout: Some(Layout::Nhwc), ..half };
        assert!(matches!(other.resolve(declared(1, Some((8, 8)))), Err(StatedError::Layout { .. })));
    }
}
