//! The basis of a teacher's targets: centred at the mean of the corpus, along the principal components.
//!
//! Features after a ReLU are not negative, so they share much of their direction and all cosines are near 1. Centred, they point
//! in all directions. The components with the largest variance keep nearly all of a cosine and make head and memory smaller.

use half::f16;

use super::cache::FeatureCache;
use crate::measure::eigen;
use crate::nn::matrix::{matmul_at, matmul_bt};

/// Features that the components are computed from: for 1,280 dimensions more than six of each.
const SAMPLE_MAX: usize = 8_192;

/// Features summed per product, in f32.
const ROWS: usize = 256;

/// A linear map from features to targets.
pub(super) struct Basis {
    /// Dimensions of a feature.
    pub features: usize,
    /// Dimensions of a target.
    pub targets: usize,
    mean: Vec<f32>,
    /// `[targets, features]`, rows of unit length; empty if all dimensions are kept.
    components: Vec<f32>,
}

impl Basis {
    /// The basis of the features in `cache`, whose blocks are all valid. The order of sums is fixed.
    pub fn new(cache: &mut FeatureCache, features: usize, targets: usize) -> std::io::Result<Self> {
        let (mut sums, mut count) = (vec![0.0f64; features], 0usize);
        for number in 0..cache.blocks() {
            for feature in cache.read(number)?.ok_or(std::io::ErrorKind::InvalidData)?.chunks_exact(features) {
                sums.iter_mut().zip(feature).for_each(|(sum, value)| *sum += value.to_f64());
                count += 1;
            }
        }
        let mean = sums.iter().map(|sum| (sum / count.max(1) as f64) as f32).collect();
        let mut basis = Self { features, targets, mean, components: Vec::new() };
        if targets < features {
            let covariance = basis.scatter(cache, count.div_ceil(SAMPLE_MAX).max(1))?;
            let found = eigen(covariance, features);
            basis.components = found.vectors[..targets * features].iter().map(|&value| value as f32).collect();
        }
        Ok(basis)
    }

    /// Sums of products of the centred values of every `stride`-th feature, `[features, features]`.
    fn scatter(&self, cache: &mut FeatureCache, stride: usize) -> std::io::Result<Vec<f64>> {
        let (mut scatter, mut product) = (vec![0.0f64; self.features.pow(2)], vec![0.0f32; self.features.pow(2)]);
        let (mut rows, mut seen) = (Vec::new(), 0usize);
        let mut add = |rows: &mut Vec<f32>| {
            matmul_at(rows, rows, self.features, self.features, &mut product);
            scatter.iter_mut().zip(&product).for_each(|(sum, product)| *sum += f64::from(*product));
            rows.clear();
        };
        for number in 0..cache.blocks() {
            for feature in cache.read(number)?.ok_or(std::io::ErrorKind::InvalidData)?.chunks_exact(self.features) {
                if seen.is_multiple_of(stride) {
                    rows.extend(self.centred(feature));
                }
                seen += 1;
                if rows.len() == ROWS * self.features {
                    add(&mut rows);
                }
            }
        }
        if !rows.is_empty() {
            add(&mut rows);
        }
        Ok(scatter)
    }

    fn centred(&self, feature: &[f16]) -> impl Iterator<Item = f32> {
        feature.iter().zip(&self.mean).map(|(value, mean)| value.to_f32() - mean)
    }

    /// The targets `[M, targets]` of `features` `[M, features]`, not normalised.
    pub fn project(&self, features: &[f16]) -> Vec<f32> {
        let centred: Vec<f32> =
            features.chunks_exact(self.features).flat_map(|feature| self.centred(feature)).collect();
        if self.components.is_empty() {
            return centred;
        }
        let mut projected = vec![0.0; centred.len() / self.features * self.targets];
        matmul_bt(&centred, &self.components, self.features, &mut projected);
        projected
    }
}
