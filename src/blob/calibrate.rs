//! Calibration: the range of each value of an encoder on unlabelled images.
//!
//! The f16 blob runs in the device's own code and its values are observed, so calibration sees the device's arithmetic.

use macula_edge::encoder::Blob;
use rayon::prelude::*;

use super::encoder::{BlobFile, BlobFileError};
use crate::encoder::{Activation, EncoderSpec, Node};

/// Default number of calibration images. Their histograms have hundreds of thousands of counts for the smallest value;
/// more images change a range by its last digit at most.
pub const CALIBRATION_IMAGES: usize = 256;

/// Bins of a histogram.
const BINS: usize = 2048;
/// Number of candidate ranges, from the widest down in equal steps.
const CANDIDATES: usize = 100;

/// The range of a value in int8; numbers outside are clipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueRange {
    /// Lowest number, at most 0.
    pub low: f32,
    /// Highest number, at least 0 and above `low`.
    pub high: f32,
}

/// Measures the range of each value of `encoder`, an f16 blob of `spec`; that of value 0, the pixels, is not used.
///
/// Among the ranges `[t low, t high]`, `t` in hundredths, chooses the one with the least mean squared error of rounding to
/// 256 levels and clipping. After a ReLU `low` is 0; after a ReLU6 `high` is at most 6.
///
/// * `images`: pixels of the network's input size, `[H, W, C]` each
///
/// # Errors
/// An image of another size.
pub fn calibrate(encoder: &BlobFile, spec: &EncoderSpec, images: &[Vec<u8>]) -> Result<Vec<ValueRange>, BlobFileError> {
    let values = spec.nodes.len() + 1;
    let extremes = observe(
        encoder,
        images,
        || vec![ValueRange { low: 0.0, high: 0.0 }; values],
        |extremes, value, x| {
            let ValueRange { low, high } = extremes[value];
            extremes[value] = ValueRange { low: low.min(x), high: high.max(x) };
        },
        |a, b| ValueRange { low: a.low.min(b.low), high: a.high.max(b.high) },
    )?;
    let histograms = observe(
        encoder,
        images,
        || vec![vec![0u64; BINS]; values],
        |histograms, value, x| histograms[value][bin(extremes[value], x)] += 1,
        |a, b| a.iter().zip(b).map(|(a, b)| a + b).collect(),
    )?;
    let mut ranges: Vec<ValueRange> =
        extremes.iter().zip(&histograms).map(|(&extremes, histogram)| best_range(extremes, histogram)).collect();
    for (range, node) in ranges[1..].iter_mut().zip(&spec.nodes) {
        let activation = match node {
            Node::Conv { conv, .. } => conv.activation,
            Node::Add { activation, .. } => *activation,
        };
        if activation == Activation::Relu6 {
            range.high = range.high.min(6.0);
        }
    }
    Ok(ranges)
}

/// Folds all numbers of each value over all images. Groups of images run in parallel and are merged in order.
fn observe<T: Send>(
    encoder: &BlobFile,
    images: &[Vec<u8>],
    start: impl Fn() -> Vec<T> + Sync,
    add: impl Fn(&mut Vec<T>, usize, f32) + Sync,
    merge: impl Fn(&T, &T) -> T,
) -> Result<Vec<T>, BlobFileError> {
    let groups: Vec<Vec<T>> = images
        .par_chunks(images.len().div_ceil(8).max(1))
        .map(|images| {
            let mut found = start();
            observe_images(&encoder.blob()?, images, &mut found, &add)?;
            Ok(found)
        })
        .collect::<Result<_, BlobFileError>>()?;
    let merged = groups.into_iter().reduce(|a, b| a.iter().zip(&b).map(|(a, b)| merge(a, b)).collect());
    Ok(merged.unwrap_or_else(start))
}

fn observe_images<T>(
    blob: &Blob<'_>,
    images: &[Vec<u8>],
    found: &mut Vec<T>,
    add: impl Fn(&mut Vec<T>, usize, f32),
) -> Result<(), BlobFileError> {
    let (mut arena, mut feature) = (vec![0; blob.arena_words()], vec![0.0; blob.dim()]);
    for pixels in images {
        blob.encode_observed(pixels, &mut arena, &mut feature, &mut |value, words| {
            words.iter().for_each(|&word| add(found, value, f32::from_bits(word)));
        })?;
    }
    Ok(())
}

fn bin(extremes: ValueRange, x: f32) -> usize {
    let ValueRange { low, high } = extremes;
    (((x - low) / (high - low).max(f32::MIN_POSITIVE) * BINS as f32) as usize).min(BINS - 1)
}

/// The range of least error; 0 to 1 for a value that is always 0.
fn best_range(extremes: ValueRange, histogram: &[u64]) -> ValueRange {
    let (low, high) = (f64::from(extremes.low), f64::from(extremes.high));
    if extremes.high - extremes.low <= f32::MIN_POSITIVE {
        return ValueRange { low: 0.0, high: 1.0 };
    }
    let centre = |bin: usize| low + (bin as f64 + 0.5) * (high - low) / BINS as f64;
    let error = |share: f64| {
        let (low, high) = (share * low, share * high);
        let step = (high - low) / 255.0;
        let of_bin = |(bin, &count): (usize, &u64)| {
            let x = centre(bin);
            let clipped = x - x.clamp(low, high);
            // The mean squared rounding error is a twelfth of a squared step.
            count as f64 * if clipped == 0.0 { step * step / 12.0 } else { clipped * clipped }
        };
        histogram.iter().enumerate().map(of_bin).sum::<f64>()
    };
    let mut best = (f64::INFINITY, 1.0);
    for candidate in (1..=CANDIDATES).rev() {
        let share = candidate as f64 / CANDIDATES as f64;
        let error = error(share);
        if error < best.0 {
            best = (error, share);
        }
    }
    ValueRange { low: (best.1 * low) as f32, high: (best.1 * high) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many numbers near 1 and a single one at 100: the outlier is clipped. Without outlier nothing is clipped.
    #[test]
    fn an_outlier_is_clipped() {
        let mut histogram = vec![0; BINS];
        (0..BINS / 100).for_each(|bin| histogram[bin] = 1_000_000);
        histogram[BINS - 1] = 1;
        let best = |low, high, histogram: &[u64]| best_range(ValueRange { low, high }, histogram);
        let clipped = best(0.0, 100.0, &histogram);
        assert!(clipped.low == 0.0 && clipped.high < 30.0, "{clipped:?}");
        assert_eq!(best(-1.0, 1.0, &[1; BINS]), ValueRange { low: -1.0, high: 1.0 });
        assert_eq!(best(0.0, 0.0, &[1; BINS]), ValueRange { low: 0.0, high: 1.0 });
    }
}
