//! Preprocessing that the caller states for an ONNX file that does not state it itself.

use crate::data::{Preprocessing, ResizeFilter, ValueRange};
use crate::encoder::Layout;

/// Preprocessing that many encoders were trained with, by name.
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

    /// The word for it.
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

/// Preprocessing as the caller states it; what is left open is what the file declares.
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
    /// The order of the input's dimensions.
    pub layout: Option<Layout>,
    /// The raw values that are black and white; none: those of the pixel type.
    pub range: Option<ValueRange>,
}

/// Stated preprocessing is wrong or does not fit the file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatedError {
    /// A value outside of its unit.
    #[error("{what} {value} is not {allowed}{}", in_bytes(*value))]
    Unit {
        /// `mean` or `standard deviation`.
        what: &'static str,
        /// What was stated.
        value: f32,
        /// The range of the unit.
        allowed: &'static str,
    },
    /// Another number of values than channels.
    #[error("--{what} has {found} values for {channels} channels; give 1 or {channels}")]
    Count {
        /// `mean` or `std`.
        what: &'static str,
        /// Values stated.
        found: usize,
        /// Channels of the input.
        channels: usize,
    },
    /// The file leaves the size of its input open, and nobody has stated it.
    #[error("it leaves the size of its input open: give --size")]
    OpenSize,
    /// No image has such a size.
    #[error("{0}")]
    Shape(macula_edge::image::ImageError),
    /// The file declares another order of dimensions.
    #[error("its input is in layout {found}, --layout {stated} was given")]
    Layout {
        /// What the file declares.
        found: &'static str,
        /// What was stated.
        stated: &'static str,
    },
}

/// A hint for a value that is in units of 0 to 255.
fn in_bytes(value: f32) -> String {
    match value > 1.0 && value <= 255.0 {
        true => format!("; in units of 0 to 255? Divide by 255: {:.4}", value / 255.0),
        false => String::new(),
    }
}

/// What an ONNX file declares of its input.
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

    /// Checks that every value lies in its unit.
    ///
    /// # Errors
    /// The first that does not.
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

    /// The recipe for a file that declares `declared`.
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

/// One value for each channel.
fn each(what: &'static str, values: &[f32], channels: usize) -> Result<Vec<f32>, StatedError> {
    match values {
        [one] => Ok(vec![*one; channels]),
        values if values.len() == channels => Ok(values.to_vec()),
        values => Err(StatedError::Count { what, found: values.len(), channels }),
    }
}

impl From<&Preprocessing> for Stated {
    /// A whole recipe, as a store remembers it.
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
    fn names_stand_for_the_values_of_their_training() {
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
    fn values_outside_of_their_unit_are_refused() {
        let check =
            |mean: &[f32], std: &[f32]| Stated { mean: mean.to_vec(), std: std.to_vec(), ..Stated::default() }.check();
        assert_eq!(check(&[0.0, 1.0, 0.5], &[1.0, 0.004, 0.5]), Ok(()));
        for (mean, std) in [(123.675, 0.5), (-0.1, 0.5), (f32::NAN, 0.5), (0.5, 58.395), (0.5, 0.0), (0.5, f32::NAN)] {
            assert!(matches!(check(&[0.5, mean], &[0.5, std]), Err(StatedError::Unit { .. })), "{mean} {std}");
        }
        assert!(check(&[123.675], &[0.5]).unwrap_err().to_string().contains("0.4850"));
    }

    #[test]
    fn what_does_not_fit_the_file_is_refused() {
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
