//! Heat maps of tiles: what each adds to a decision, or how each alone would be decided.
//!
//! T tiles, D feature dimensions.

use macula_edge::feature::{FeatureError, UNIT, quantise};

use super::margin::Margin;
use crate::encoder::{CorpusStatistics, TileFeatures};

/// What each tile adds to the margin of an image whose feature is the mean over tiles, `[T]`. Their mean is the margin.
///
/// The head reads `q = UNIT s(z) / |s(z)|`, with `s` the standardisation by the corpus, which is affine, and
/// `z = Σ_t f_t / T`. So the margin `w · q + b` is the mean over tiles of `UNIT w · s(f_t) / |s(z)| + b`, exactly but for the
/// rounding of `q`.
///
/// * `corpus`: statistics that the encoder is used with
pub fn contributions(tiles: &TileFeatures, corpus: Option<&CorpusStatistics>, margin: &Margin) -> Vec<f32> {
    let standardised = |row: &[f32]| -> Vec<f64> {
        let view = corpus.map(CorpusStatistics::view);
        let value = |(d, &value): (usize, &f32)| f64::from(view.map_or(value, |view| view.standardise(d, value)));
        row.iter().enumerate().map(value).collect()
    };
    let pooled = standardised(&tiles.mean());
    let length = pooled.iter().map(|value| value * value).sum::<f64>().sqrt();
    let scale = if length > 0.0 { f64::from(UNIT) / length } else { 0.0 };
    let of = |tile: usize| {
        let product: f64 = standardised(tiles.row(tile)).iter().zip(margin.weights()).map(|(value, w)| value * w).sum();
        (scale * product + margin.bias()) as f32
    };
    (0..tiles.len()).map(of).collect()
}

/// The margin of each tile as if it were an image of its own, `[T]`.
///
/// # Errors
/// When a tile has a feature that cannot be quantised; a feature without direction counts as the bias alone.
pub fn scores(
    tiles: &TileFeatures,
    corpus: Option<&CorpusStatistics>,
    margin: &Margin,
) -> Result<Vec<f32>, FeatureError> {
    let mut feature = vec![0i16; tiles.dim];
    let score = |tile: usize| match quantise(tiles.row(tile), corpus.map(CorpusStatistics::view), &mut feature) {
        Ok(_) => Ok(margin.value(&feature) as f32),
        Err(FeatureError::ZeroLength) => Ok(margin.bias() as f32),
        Err(error) => Err(error),
    };
    (0..tiles.len()).map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::super::margin::with_head;
    use super::*;
    use crate::data::Area;

    fn tiles(rows: &[[f32; 2]]) -> TileFeatures {
        let area = Area { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
        TileFeatures { dim: 2, rows: rows.concat(), areas: vec![area; rows.len()] }
    }

    #[test]
    fn the_mean_of_what_tiles_add_is_the_margin_of_the_image() {
        let corpus = CorpusStatistics { mean: vec![0.5, -1.0], std: vec![2.0, 0.0], length_max: None };
        for corpus in [None, Some(&corpus)] {
            let tiles = tiles(&[[3.0, 0.4], [1.0, 2.0], [2.5, 0.0]]);
            with_head(|head| {
                let margin = Margin::of(head, 0).unwrap();
                let parts = contributions(&tiles, corpus, &margin);
                let mut feature = [0i16; 2];
                quantise(&tiles.mean(), corpus.map(CorpusStatistics::view), &mut feature).unwrap();
                let mean = parts.iter().map(|&part| f64::from(part)).sum::<f64>() / 3.0;
                // Rounding to i16 moves the margin by a few parts in 32,767.
                assert!((mean - margin.value(&feature)).abs() < 1e-3, "{mean} {}", margin.value(&feature));
                assert!(parts[0] > parts[1] && parts[2] > parts[1], "the second tile points to the other class");
            });
        }
    }

    #[test]
    fn a_tile_alone_is_scored_as_an_image() {
        with_head(|head| {
            let margin = Margin::of(head, 0).unwrap();
            let found = scores(&tiles(&[[3.0, 0.4], [0.0, 0.0]]), None, &margin).unwrap();
            let mut feature = [0i16; 2];
            quantise(&[3.0, 0.4], None, &mut feature).unwrap();
            assert_eq!(found, [margin.value(&feature) as f32, margin.bias() as f32]);
            assert!(scores(&tiles(&[[f32::NAN, 0.0]]), None, &margin).is_err());
        });
    }
}
