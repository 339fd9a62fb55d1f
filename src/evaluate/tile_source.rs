//! Features of the tiles of a dataset: as bytes of a cache, and their statistics.
//!
//! N images, T tiles of an image, M tiles of all images, D feature dimensions.

use super::EvaluateError;
use super::features::Progress;
use crate::data::{Area, Dataset};
use crate::encoder::{CorpusStatistics, HostEncoder, TileFeatures};
use crate::measure::{Features, corpus_of};

/// Bytes of the features of all tiles at most: 4 GiB, a million tiles of 1,024 dimensions.
const BYTES_MAX: usize = 4 << 30;

/// Features of the tiles of the images `indices` of `dataset`, in that order. All are in memory.
///
/// # Errors
/// When an image cannot be read or encoded, or the features take more than 4 GiB.
pub fn embed_tiles(
    encoder: &dyn HostEncoder,
    dataset: &Dataset,
    indices: &[usize],
    progress: Progress,
) -> Result<Vec<TileFeatures>, EvaluateError> {
    let (mut all, mut tiles) = (Vec::with_capacity(indices.len()), 0);
    // One image at a time: the encoder divides its tiles among the threads.
    for &index in indices {
        let features = encoder.tile_features(&dataset.load(index)?);
        let features = features.map_err(|error| error.of_image(&dataset.records[index].name))?;
        tiles += features.len();
        let bytes = tiles.saturating_mul(4 * features.dim);
        if bytes > BYTES_MAX {
            return Err(EvaluateError::TileMemory { tiles, bytes, limit: BYTES_MAX });
        }
        all.push(features);
        progress(1);
    }
    Ok(all)
}

/// The mean over tiles of each image, `[N, D]`.
pub fn tile_means(images: &[TileFeatures], dim: usize) -> Features {
    Features { dim, rows: images.iter().flat_map(TileFeatures::mean).collect() }
}

/// Mean and standard deviation of the tiles of all images.
pub fn tile_statistics(images: &[TileFeatures], dim: usize) -> CorpusStatistics {
    corpus_of(&Features { dim, rows: images.iter().flat_map(|image| &image.rows).copied().collect() })
}

/// Tiles as values of a cache: for each image T, then areas `[T, 4]` and features `[T, D]`.
pub(super) fn to_values(images: &[TileFeatures]) -> Vec<f32> {
    let mut values = Vec::new();
    for image in images {
        // Counts up to 2²⁰ are exact in f32.
        values.push(image.len() as f32);
        values.extend(image.areas.iter().flat_map(|area| [area.left, area.top, area.width, area.height]));
        values.extend_from_slice(&image.rows);
    }
    values
}

/// The tiles of `count` images that [`to_values`] wrote; `None` if these are not their values.
pub(super) fn from_values(mut values: &[f32], count: usize, dim: usize) -> Option<Vec<TileFeatures>> {
    let mut images = Vec::with_capacity(count);
    for _ in 0..count {
        let (&tiles, rest) = values.split_first()?;
        let tiles = tiles as usize;
        let (areas, rest) = rest.split_at_checked(tiles.checked_mul(4)?)?;
        let (rows, rest) = rest.split_at_checked(tiles.checked_mul(dim)?)?;
        let area = |&[left, top, width, height]: &[f32; 4]| Area { left, top, width, height };
        let areas: Vec<Area> = areas.as_chunks::<4>().0.iter().map(area).collect();
        if areas.is_empty() {
            return None;
        }
        images.push(TileFeatures { dim, rows: rows.to_vec(), areas });
        values = rest;
    }
    values.is_empty().then_some(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Vec<TileFeatures> {
        let area = |left: f32| Area { left, top: 1.5, width: 8.0, height: 9.0 };
        let one = TileFeatures { dim: 2, rows: vec![1.0, 2.0], areas: vec![area(0.0)] };
        let two = TileFeatures { dim: 2, rows: vec![3.0, 4.0, 5.0, 6.0], areas: vec![area(0.5), area(8.0)] };
        vec![one, two]
    }

    #[test]
    fn values_are_read_back_and_others_refused() {
        let values = to_values(&images());
        assert_eq!(from_values(&values, 2, 2), Some(images()));
        assert_eq!(from_values(&values, 1, 2), None);
        assert_eq!(from_values(&values, 3, 2), None);
        assert_eq!(from_values(&values, 2, 3), None);
        assert_eq!(from_values(&values[..values.len() - 1], 2, 2), None);
        assert_eq!(from_values(&[0.0], 1, 2), None, "no image is without a tile");
    }

    #[test]
    fn means_and_statistics_are_over_tiles() {
        assert_eq!(tile_means(&images(), 2).rows, [1.0, 2.0, 4.0, 5.0]);
        let statistics = tile_statistics(&images(), 2);
        assert_eq!(statistics.mean, [3.0, 4.0]);
        assert!((statistics.std[0] - (8.0f32 / 3.0).sqrt()).abs() < 1e-6);
    }
}
