//! In what range each value of an encoder moves, seen on unlabelled images.
//!
//! The f16 blob is run by the device's code and watched: what is calibrated is what will be computed.

use macula_edge::encoder::Blob;
use rayon::prelude::*;

use super::encoder::{BlobFile, BlobFileError};
use crate::encoder::{Activation, EncoderSpec, Node};

/// Images looked at unless asked otherwise. A histogram of their pixels has hundreds of thousands of counts in the
/// smallest value; more change no range by more than its last digit.
pub const CALIBRATION_IMAGES: usize = 256;

/// Bins of a histogram.
const BINS: usize = 2048;
/// Ranges tried are this many, from the widest down in equal steps.
const CANDIDATES: usize = 100;

/// The range in which each value is kept in int8; what is outside is clipped.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    /// Lowest of each value, 0 or less. That of value 0, the pixels, is not used.
    pub low: Vec<f32>,
    /// Highest of each value, at least 0 and above the lowest.
    pub high: Vec<f32>,
}

/// Measures the ranges of `encoder`, an f16 blob of `spec`.
///
/// Of all ranges `[t low, t high]`, `t` in hundredths, that with the least mean squared error of rounding to 256 levels
/// and clipping over all numbers of a value. After a ReLU `low` is 0; after a ReLU6 `high` is 6 at most.
///
/// * `images`: pixels of the network's size, `[H, W, C]` each
///
/// # Errors
/// An image of another size.
pub fn calibrate(encoder: &BlobFile, spec: &EncoderSpec, images: &[Vec<u8>]) -> Result<Ranges, BlobFileError> {
    let values = spec.nodes.len() + 1;
    let extremes = watch(
        encoder,
        images,
        || vec![(0.0f32, 0.0f32); values],
        |extremes, value, x| {
            let (low, high) = extremes[value];
            extremes[value] = (low.min(x), high.max(x));
        },
        |(a, b)| (a.0.min(b.0), a.1.max(b.1)),
    )?;
    let histograms = watch(
        encoder,
        images,
        || vec![vec![0u64; BINS]; values],
        |histograms, value, x| histograms[value][bin(extremes[value], x)] += 1,
        |(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect(),
    )?;
    let ranges = extremes.iter().zip(&histograms).map(|(&range, histogram)| best_range(range, histogram));
    let (low, mut high): (Vec<f32>, Vec<f32>) = ranges.unzip();
    for (high, node) in high[1..].iter_mut().zip(&spec.nodes) {
        let activation = match node {
            Node::Conv { conv, .. } => conv.activation,
            Node::Add { activation, .. } => *activation,
        };
        if activation == Activation::Relu6 {
            *high = high.min(6.0);
        }
    }
    Ok(Ranges { low, high })
}

/// Folds every number of every value of every image; images in groups, groups in their order.
fn watch<T: Send>(
    encoder: &BlobFile,
    images: &[Vec<u8>],
    start: impl Fn() -> Vec<T> + Sync,
    see: impl Fn(&mut Vec<T>, usize, f32) + Sync,
    merge: impl Fn((&T, &T)) -> T,
) -> Result<Vec<T>, BlobFileError> {
    let groups: Vec<Vec<T>> = images
        .par_chunks(images.len().div_ceil(8).max(1))
        .map(|images| {
            let mut seen = start();
            watch_images(&encoder.blob()?, images, &mut seen, &see)?;
            Ok(seen)
        })
        .collect::<Result<_, BlobFileError>>()?;
    let merged = groups.into_iter().reduce(|a, b| a.iter().zip(&b).map(&merge).collect());
    Ok(merged.unwrap_or_else(start))
}

fn watch_images<T>(
    blob: &Blob<'_>,
    images: &[Vec<u8>],
    seen: &mut Vec<T>,
    see: impl Fn(&mut Vec<T>, usize, f32),
) -> Result<(), BlobFileError> {
    let (mut arena, mut feature) = (vec![0; blob.arena_words()], vec![0.0; blob.dim()]);
    for pixels in images {
        blob.encode_observed(pixels, &mut arena, &mut feature, &mut |value, words| {
            words.iter().for_each(|&word| see(seen, value, f32::from_bits(word)));
        })?;
    }
    Ok(())
}

fn bin((low, high): (f32, f32), x: f32) -> usize {
    (((x - low) / (high - low).max(f32::MIN_POSITIVE) * BINS as f32) as usize).min(BINS - 1)
}

/// The range of least error; a value that is always 0 gets one of no width around it that can be divided by.
fn best_range((low, high): (f32, f32), histogram: &[u64]) -> (f32, f32) {
    if high - low <= f32::MIN_POSITIVE {
        return (0.0, 1.0);
    }
    let (low, high) = (f64::from(low), f64::from(high));
    let centre = |bin: usize| low + (bin as f64 + 0.5) * (high - low) / BINS as f64;
    let error = |share: f64| {
        let (low, high) = (share * low, share * high);
        let step = (high - low) / 255.0;
        let of_bin = |(bin, &count): (usize, &u64)| {
            let x = centre(bin);
            let clipped = x - x.clamp(low, high);
            // Rounding errs by a twelfth of a squared step on average.
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
    ((best.1 * low) as f32, (best.1 * high) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand numbers near 1 and one at 100: the far one is clipped. Without it nothing is.
    #[test]
    fn an_outlier_does_not_cost_the_others_their_levels() {
        let mut histogram = vec![0; BINS];
        (0..BINS / 100).for_each(|bin| histogram[bin] = 1_000_000);
        histogram[BINS - 1] = 1;
        let (low, high) = best_range((0.0, 100.0), &histogram);
        assert!(low == 0.0 && high < 30.0, "{low} {high}");
        assert_eq!(best_range((-1.0, 1.0), &[1; BINS]), (-1.0, 1.0));
        assert_eq!(best_range((0.0, 0.0), &[1; BINS]), (0.0, 1.0));
    }
}
