//! Standardises a feature, scales it to unit length and quantises it to `i16`, the form that heads learn from.
//!
//! D feature dimensions.
//!
//! The last bits of an encoder's output may differ between CPUs. From the quantised feature on, all results have the same
//! bytes.

/// Length of a quantised feature: 1.0 in units of `i16`.
pub const UNIT: i16 = i16::MAX;

/// Most dimensions of a feature.
pub const DIM_MAX: usize = 4096;

/// Statistics of an encoder's features over its unlabelled corpus, `D` dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CorpusStats<'a> {
    /// Mean of each dimension, `[D]`.
    pub mean: &'a [f32],
    /// Standard deviation of each dimension, `[D]`. A dimension with 0 never varied: it is centred but not scaled,
    /// because scaling would amplify rounding noise.
    pub std: &'a [f32],
    /// The length that 95 % of the images do not exceed, where it was measured.
    pub length_max: Option<Length>,
}

impl CorpusStats<'_> {
    /// Value `position` of a feature, centred and scaled: `(value - mean) / std`, and `value - mean` where `std` is 0.
    ///
    /// The only place where features are standardised: evaluation on the host calls it, too, and so measures what devices do.
    ///
    /// # Panics
    /// When `position` is not below D.
    pub fn standardise(self, position: usize, value: f32) -> f32 {
        let centred = value - self.mean[position];
        if self.std[position] == 0.0 { centred } else { centred / self.std[position] }
    }
}

/// Distance of a feature from the corpus mean in standard deviations: the root mean square of the components of `z`, in
/// 256ths. Images like the corpus have about 256; OOD images have more.
///
/// Quantising loses it: a quantised feature always has length [`UNIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub u16);

/// A feature could not be quantised.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FeatureError {
    /// Two lengths differ.
    #[error("{what} has {found} dimensions, but the feature has {expected}")]
    Dimension {
        /// What differs: `corpus mean`, `corpus standard deviation`, `output`.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Length of the feature.
        expected: usize,
    },
    /// The number of dimensions is not 1 to [`DIM_MAX`].
    #[error("the feature has {found} dimensions; 1 to {DIM_MAX} are allowed")]
    DimensionOutOfRange {
        /// Dimensions found.
        found: usize,
    },
    /// A value is infinite or NaN, before or after scaling.
    #[error("feature value {position} is {value}, which is not finite")]
    NotFinite {
        /// Index in the feature.
        position: usize,
        /// The value.
        value: f32,
    },
    /// All values are 0 (after centring), so the feature has no direction.
    #[error("the feature has length 0, so it has no direction")]
    ZeroLength,
}

/// Centres and scales `feature` by the corpus, brings it to unit length and quantises it. Returns the [`length`] it had,
/// where there is a corpus.
///
/// `z = (feature - mean) / std` (just `feature` without a corpus), in f32;
/// `quantised = round(32767 z / |z|)`, in f64, halves to even. No component exceeds ±32767.
///
/// * `feature`: `[D]`
/// * `corpus`: `[D]` each
/// * `quantised`: `[D]`, written only where the result is `Ok`
///
/// # Errors
/// When a length differs, a value is not finite, or the feature has no direction.
pub fn quantise(
    feature: &[f32],
    corpus: Option<CorpusStats<'_>>,
    quantised: &mut [i16],
) -> Result<Option<Length>, FeatureError> {
    let square = square(feature, corpus)?;
    if quantised.len() != feature.len() {
        return Err(FeatureError::Dimension { what: "output", found: quantised.len(), expected: feature.len() });
    }
    if square == 0.0 {
        return Err(FeatureError::ZeroLength);
    }
    let norm = libm::sqrt(square);
    for (position, out) in quantised.iter_mut().enumerate() {
        let unit = f64::from(scale(feature[position], corpus, position)) / norm;
        *out = libm::rint(f64::from(UNIT) * unit) as i16;
    }
    Ok(corpus.map(|_| length_of(square, feature.len())))
}

/// The [`Length`] of a feature, `√(|z|² / D)` in 256ths, rounded half to even, at most 65535.
///
/// * `feature`: `[D]`
/// * `corpus`: `[D]` each; `None` for a feature that is standardised already
///
/// # Errors
/// When a length differs or a value is not finite.
pub fn length(feature: &[f32], corpus: Option<CorpusStats<'_>>) -> Result<Length, FeatureError> {
    let square = square(feature, corpus)?;
    Ok(length_of(square, feature.len()))
}

fn length_of(square: f64, dim: usize) -> Length {
    let steps = libm::rint(256.0 * libm::sqrt(square / dim as f64));
    Length(if steps < f64::from(u16::MAX) { steps as u16 } else { u16::MAX })
}

/// `|z|²`, checked.
fn square(feature: &[f32], corpus: Option<CorpusStats<'_>>) -> Result<f64, FeatureError> {
    check_lengths(feature, corpus)?;
    let mut square = 0.0f64;
    for (position, &value) in feature.iter().enumerate() {
        let scaled = scale(value, corpus, position);
        if !(value.is_finite() && scaled.is_finite()) {
            return Err(FeatureError::NotFinite { position, value });
        }
        // The square of the largest f32 is 1e77 and of the smallest 1e-90: neither end is lost in f64.
        square += f64::from(scaled) * f64::from(scaled);
    }
    Ok(square)
}

fn scale(value: f32, corpus: Option<CorpusStats<'_>>, position: usize) -> f32 {
    corpus.map_or(value, |corpus| corpus.standardise(position, value))
}

fn check_lengths(feature: &[f32], corpus: Option<CorpusStats<'_>>) -> Result<(), FeatureError> {
    let expected = feature.len();
    if !(1..=DIM_MAX).contains(&expected) {
        return Err(FeatureError::DimensionOutOfRange { found: expected });
    }
    let check = |what, found| match found == expected {
        true => Ok(()),
        false => Err(FeatureError::Dimension { what, found, expected }),
    };
    if let Some(corpus) = corpus {
        check("corpus mean", corpus.mean.len())?;
        check("corpus standard deviation", corpus.std.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus<'a>(mean: &'a [f32], std: &'a [f32]) -> CorpusStats<'a> {
        CorpusStats { mean, std, length_max: None }
    }

    #[test]
    fn unit_length_by_hand() {
        let mut quantised = [0; 2];
        quantise(&[3.0, -4.0], None, &mut quantised).unwrap();
        assert_eq!(quantised, [19660, -26214], "0.6 and -0.8 of 32767");
        // The length does not matter, down to the smallest f32 and up to near the largest.
        for scale in [1e-44, 1e-20, 1e20, 1e37] {
            let mut other = [0; 2];
            quantise(&[3.0 * scale, 4.0 * scale], None, &mut other).unwrap();
            assert!((other[0] - 19660).abs() < 2500 && other[1] > other[0], "{scale}: {other:?}");
        }
        quantise(&[0.0, -7.0], None, &mut quantised).unwrap();
        assert_eq!(quantised, [0, -UNIT]);
    }

    #[test]
    fn centres_and_scales() {
        let corpus = corpus(&[1.0, 2.0, 5.0], &[2.0, 0.5, 0.0]);
        let mut quantised = [0; 3];
        quantise(&[5.0, 3.0, 6.0], Some(corpus), &mut quantised).unwrap();
        assert_eq!(quantised, [21845, 21845, 10922], "(5-1)/2, (3-2)/0.5, and 6-5 of a dimension that never varied");
    }

    #[test]
    fn length_by_hand() {
        let corpus = Some(corpus(&[1.0, 2.0, 5.0, 0.0], &[2.0, 0.5, 0.0, 1.0]));
        // (3, 4, 0, 0): √(25 / 4) = 2.5.
        assert_eq!(length(&[7.0, 4.0, 5.0, 0.0], corpus), Ok(Length(640)));
        assert_eq!(
            length(&[1.0, 2.0, 5.0, 0.0], corpus),
            Ok(Length(0)),
            "the mean itself has no direction, but a length"
        );
        assert_eq!(length(&[1e9, 2.0, 5.0, 0.0], corpus), Ok(Length(u16::MAX)));
        let refused = length(&[1.0, f32::NAN, 5.0, 0.0], corpus);
        assert!(matches!(refused, Err(FeatureError::NotFinite { position: 1, .. })));
        let dimension = FeatureError::Dimension { what: "corpus mean", found: 4, expected: 3 };
        assert_eq!(length(&[1.0, 2.0, 3.0], corpus), Err(dimension));
    }

    #[test]
    fn refusals() {
        let mut out = [7i16; 2];
        let corpus = |mean, std| Some(corpus(mean, std));
        assert_eq!(quantise(&[0.0, 0.0], None, &mut out), Err(FeatureError::ZeroLength));
        assert_eq!(quantise(&[1.0, 2.0], corpus(&[1.0, 2.0], &[1.0, 1.0]), &mut out), Err(FeatureError::ZeroLength));
        assert!(matches!(
            quantise(&[1.0, f32::NAN], None, &mut out),
            Err(FeatureError::NotFinite { position: 1, value }) if value.is_nan()
        ));
        assert!(matches!(
            quantise(&[f32::INFINITY, 1.0], None, &mut out),
            Err(FeatureError::NotFinite { position: 0, .. })
        ));
        let overflow = quantise(&[1.0, 3e38], corpus(&[0.0, 0.0], &[1.0, 1e-3]), &mut out);
        assert_eq!(overflow, Err(FeatureError::NotFinite { position: 1, value: 3e38 }));
        assert_eq!(
            quantise(&[1.0, 2.0, 3.0], None, &mut out),
            Err(FeatureError::Dimension { what: "output", found: 2, expected: 3 })
        );
        assert_eq!(
            quantise(&[1.0, 2.0], corpus(&[1.0], &[1.0, 1.0]), &mut out),
            Err(FeatureError::Dimension { what: "corpus mean", found: 1, expected: 2 })
        );
        assert_eq!(quantise(&[], None, &mut []), Err(FeatureError::DimensionOutOfRange { found: 0 }));
        assert_eq!(out, [7, 7], "a refusal writes nothing");
        quantise(&[1.0, 1.0], None, &mut out).unwrap();
        assert_eq!(out, [23170, 23170]);
    }
}
