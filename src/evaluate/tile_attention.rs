//! Attention over the tiles of an image, learnt in closed form from a few labelled images.
//!
//! N images of C classes, T tiles of an image, M tiles of all images, D feature dimensions.
//!
//! Ilse et al. (2018, arXiv:1802.04712, eq. 8) pool the tiles of an image with weights `a_t = softmax(w · tanh(V f_t))`, and
//! learn `w` and `V` by gradient descent through the classifier. A few images do not determine a network, and steps, rates
//! and initial values would be further settings. Here the weights come from one linear system, so that the same images give
//! the same weights on every machine.
//!
//! **Derivation.** Each tile takes the class of its image as its target. Most tiles of an image say nothing about its class,
//! so this label is noise for them and evidence for the others; least squares averages the noise away. With tile features
//! centred and scaled, `X` `[M, D]`, one-hot targets minus their mean, `Y` `[M, C]`, and weights `Ω` that give every class,
//! and in a class every image, the same sum, ridge regression
//!
//! `W = (Xᵀ Ω X + κ tr(Xᵀ Ω X) / D · I)⁻¹ Xᵀ Ω Y`
//!
//! is the exact minimum of its loss, and for two classes Fisher's discriminant of their tiles (Duda, Hart and Stork 2001,
//! section 5.8.2). A tile that occurs in all classes has a prediction `g_t = Wᵀ x_t` near 0, that of a tile of one class is
//! far from it. So the length `s_t = |g_t|` measures how much a tile says about any class, without knowing the class of its
//! image, and the weights are `a_t = softmax(s_t / (τ σ))`, with `σ` the root mean square of `s` over the tiles of the
//! labelled images. `τ → ∞` is the mean over tiles, `τ → 0` the tile that says most.
//!
//! Only labelled images (supports) determine `W` and `σ`; a query is weighted by them alone.

use super::EvaluateError;
use super::ridge::solve_positive_definite;
use crate::encoder::{CorpusStatistics, TileFeatures};

/// Settings of [`TileAttention`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct AttentionSettings {
    /// `κ`, the ridge in units of the mean variance, greater than 0.
    pub ridge: f64,
    /// `τ`, the temperature of the weights in units of the typical score, greater than 0.
    pub temperature: f64,
}

impl Default for AttentionSettings {
    fn default() -> Self {
        Self { ridge: 1.0, temperature: 0.5 }
    }
}

/// Weights of tiles, fitted to labelled images.
#[derive(Clone, Debug, PartialEq)]
pub struct TileAttention {
    /// `[D, C]`, for standardised tiles minus `mean`.
    weights: Vec<f64>,
    /// Weighted mean of the standardised tiles, `[D]`.
    mean: Vec<f64>,
    /// C.
    classes: usize,
    /// `τ σ`.
    scale: f64,
}

impl TileAttention {
    /// Fits the weights to images with `labels` below `classes`; every class has an image.
    ///
    /// * `corpus`: statistics of the features of tiles, `[D]` each
    ///
    /// # Errors
    /// If the features have values that cannot be solved for.
    pub fn fit(
        images: &[&TileFeatures],
        labels: &[usize],
        classes: usize,
        corpus: &CorpusStatistics,
        settings: AttentionSettings,
    ) -> Result<Self, EvaluateError> {
        let dim = corpus.mean.len();
        let mut of_class = vec![0usize; classes];
        labels.iter().for_each(|&label| of_class[label] += 1);
        let present = of_class.iter().filter(|&&count| count > 0).count() as f64;
        let weight = |image: &TileFeatures, label: usize| 1.0 / (present * (of_class[label] * image.len()) as f64);
        let mut mean = vec![0.0f64; dim];
        for (image, &label) in images.iter().zip(labels) {
            let weight = weight(image, label);
            for tile in 0..image.len() {
                let row = standardised(image.row(tile), corpus);
                mean.iter_mut().zip(&row).for_each(|(mean, value)| *mean += weight * value);
            }
        }
        let (mut gram, mut products) = (vec![0.0f64; dim * dim], vec![0.0f64; dim * classes]);
        for (image, &label) in images.iter().zip(labels) {
            let weight = weight(image, label);
            for tile in 0..image.len() {
                let mut row = standardised(image.row(tile), corpus);
                row.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
                for (i, &value) in row.iter().enumerate() {
                    let factor = weight * value;
                    let upper = &mut gram[i * dim + i..(i + 1) * dim];
                    upper.iter_mut().zip(&row[i..]).for_each(|(sum, other)| *sum += factor * other);
                    for (class, product) in products[i * classes..][..classes].iter_mut().enumerate() {
                        let target = f64::from(u8::from(class == label)) - 1.0 / present;
                        *product += factor * target;
                    }
                }
            }
        }
        let trace: f64 = (0..dim).map(|i| gram[i * dim + i]).sum();
        // Equal tiles have no variance; any ridge then gives weights of 0, and the mean over tiles.
        let ridge = settings.ridge * trace / dim as f64;
        (0..dim).for_each(|i| gram[i * dim + i] += if ridge > 0.0 { ridge } else { 1.0 });
        if !solve_positive_definite(&mut gram, dim, &mut products) {
            let message = "the tiles of the labelled images have no finite covariance".to_owned();
            return Err(EvaluateError::Feature { message });
        }
        let mut fitted = Self { weights: products, mean, classes, scale: 1.0 };
        let (mut squares, mut tiles) = (0.0, 0usize);
        for image in images {
            squares += fitted.scores(image, corpus).iter().map(|score| score * score).sum::<f64>();
            tiles += image.len();
        }
        let typical = (squares / tiles.max(1) as f64).sqrt();
        fitted.scale = settings.temperature * if typical > 0.0 { typical } else { 1.0 };
        Ok(fitted)
    }

    /// How much each tile of `image` says about any class, `[T]`, not negative.
    pub fn scores(&self, image: &TileFeatures, corpus: &CorpusStatistics) -> Vec<f64> {
        let score = |tile: usize| {
            let mut predicted = vec![0.0f64; self.classes];
            let row = standardised(image.row(tile), corpus);
            for ((value, mean), weights) in row.iter().zip(&self.mean).zip(self.weights.chunks_exact(self.classes)) {
                let value = value - mean;
                predicted.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
            }
            predicted.iter().map(|value| value * value).sum::<f64>().sqrt()
        };
        (0..image.len()).map(score).collect()
    }

    /// The weights of the tiles of `image`, `[T]`, which sum to 1.
    pub fn weights(&self, image: &TileFeatures, corpus: &CorpusStatistics) -> Vec<f64> {
        let scores = self.scores(image, corpus);
        let most = scores.iter().copied().fold(0.0, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| ((score - most) / self.scale).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    }
}

fn standardised(row: &[f32], corpus: &CorpusStatistics) -> Vec<f64> {
    let view = corpus.view();
    row.iter().enumerate().map(|(d, &value)| f64::from(view.standardise(d, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Area;
    use crate::rng::Rng;

    const DIM: usize = 12;

    /// Images of `tiles` tiles of noise; in those of class 1 the tiles of `planted` are shifted along one direction.
    fn images(seed: u64, count: usize, tiles: usize) -> (Vec<TileFeatures>, Vec<usize>, Vec<Option<usize>>) {
        let mut rng = Rng::for_purpose(seed, "test");
        let area = Area { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
        let (mut all, mut labels, mut planted) = (Vec::new(), Vec::new(), Vec::new());
        for image in 0..count {
            let at = (image % 2 == 1).then(|| rng.below(tiles));
            let value =
                |i: usize, rng: &mut Rng| rng.normal() + if at == Some(i / DIM) && i % DIM < 3 { 4.0 } else { 0.0 };
            let rows = (0..tiles * DIM).map(|i| value(i, &mut rng)).collect();
            all.push(TileFeatures { dim: DIM, rows, areas: vec![area; tiles] });
            labels.push(image % 2);
            planted.push(at);
        }
        (all, labels, planted)
    }

    fn unit() -> CorpusStatistics {
        CorpusStatistics { mean: vec![0.0; DIM], std: vec![1.0; DIM], length_max: None }
    }

    fn fit(images: &[TileFeatures], labels: &[usize], settings: AttentionSettings) -> TileAttention {
        TileAttention::fit(&images.iter().collect::<Vec<_>>(), labels, 2, &unit(), settings).unwrap()
    }

    #[test]
    fn attention_finds_the_planted_tiles_of_other_images() {
        let (taught, labels, _) = images(1, 20, 16);
        let attention = fit(&taught, &labels, AttentionSettings::default());
        let (others, _, planted) = images(2, 100, 16);
        let (mut found, mut weight) = (0, 0.0);
        for (image, at) in others.iter().zip(planted).filter_map(|(image, at)| Some((image, at?))) {
            let weights = attention.weights(image, &unit());
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12 && weights.iter().all(|&weight| weight >= 0.0));
            let most = (0..16).max_by(|&a, &b| weights[a].total_cmp(&weights[b]));
            found += usize::from(most == Some(at));
            weight += weights[at] / 50.0;
        }
        // By chance 3 of 50, with a weight of 1/16.
        assert!(found >= 25, "{found} of 50 planted tiles have the greatest weight");
        assert!(weight > 0.25, "the planted tile has a weight of {weight}");
    }

    /// The solution satisfies the normal equations of the weighted ridge regression.
    #[test]
    fn the_fit_is_the_minimum_of_its_loss() {
        let (taught, labels, _) = images(3, 6, 5);
        let settings = AttentionSettings { ridge: 0.3, temperature: 1.0 };
        let fitted = fit(&taught, &labels, settings);
        let weight = 1.0 / (2.0 * 3.0 * 5.0);
        let rows: Vec<(Vec<f64>, usize)> = (taught.iter().zip(&labels))
            .flat_map(|(image, &label)| {
                (0..5).map(move |t| (image.row(t).iter().map(|&v| f64::from(v)).collect(), label))
            })
            .collect();
        let mean: Vec<f64> = (0..DIM).map(|d| rows.iter().map(|(row, _)| weight * row[d]).sum()).collect();
        let trace: f64 =
            rows.iter().map(|(row, _)| (0..DIM).map(|d| weight * (row[d] - mean[d]).powi(2)).sum::<f64>()).sum();
        for i in 0..DIM {
            for class in 0..2 {
                // The gradient of Σ weight (x·w - y)² / 2 + ridge |w|² / 2.
                let residual = |(row, label): &(Vec<f64>, usize)| {
                    let predicted: f64 = (0..DIM).map(|d| (row[d] - mean[d]) * fitted.weights[d * 2 + class]).sum();
                    weight * (predicted - (f64::from(u8::from(*label == class)) - 0.5)) * (row[i] - mean[i])
                };
                let penalty = 0.3 * trace / DIM as f64 * fitted.weights[i * 2 + class];
                let gradient = rows.iter().map(residual).sum::<f64>() + penalty;
                assert!(gradient.abs() < 1e-9, "{i} {class}: {gradient}");
            }
        }
    }

    #[test]
    fn a_high_temperature_is_the_mean_and_equal_tiles_have_equal_weights() {
        let (taught, labels, _) = images(1, 8, 6);
        let hot = fit(&taught, &labels, AttentionSettings { temperature: 1e9, ..AttentionSettings::default() });
        assert!(hot.weights(&taught[1], &unit()).iter().all(|weight| (weight - 1.0 / 6.0).abs() < 1e-6));
        let area = taught[0].areas[0];
        let equal = TileFeatures { dim: DIM, rows: vec![2.0; 3 * DIM], areas: vec![area; 3] };
        let flat = fit(&[equal.clone(), equal.clone()], &[0, 1], AttentionSettings::default());
        assert_eq!(flat.weights(&equal, &unit()), [1.0 / 3.0; 3]);
    }
}
