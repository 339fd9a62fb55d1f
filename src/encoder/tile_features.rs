//! Features of the tiles of one image, and their pooling.
//!
//! T tiles, D feature dimensions.

use crate::data::Area;

/// The features of the tiles of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct TileFeatures {
    /// D.
    pub dim: usize,
    /// `[T, D]`.
    pub rows: Vec<f32>,
    /// The part of the image that each tile shows, `[T]`.
    pub areas: Vec<Area>,
}

impl TileFeatures {
    /// T, at least 1.
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Whether there is no tile, which does not occur.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// Feature of tile `index`, `[D]`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.dim..][..self.dim]
    }

    /// The mean over tiles, `[D]`.
    pub fn mean(&self) -> Vec<f32> {
        self.weighted(&vec![1.0 / self.len() as f64; self.len()])
    }

    /// The sum over tiles with `weights`, `[T]`. Sums are taken in f64 in the order of the tiles.
    pub fn weighted(&self, weights: &[f64]) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.dim];
        for (row, weight) in self.rows.chunks_exact(self.dim).zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += weight * f64::from(value));
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_the_sum_with_equal_weights() {
        let area = Area { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
        let tiles = TileFeatures { dim: 2, rows: vec![1.0, -4.0, 3.0, 6.0, 5.0, 1.0], areas: vec![area; 3] };
        assert_eq!((tiles.len(), tiles.row(1)), (3, &[3.0f32, 6.0][..]));
        assert_eq!(tiles.mean(), [3.0, 1.0]);
        assert_eq!(tiles.weighted(&[0.5, 0.0, 0.5]), [3.0, -1.5]);
    }
}
