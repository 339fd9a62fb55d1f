//! k-nearest-neighbour probe: a query is classified by the labels of its most similar references.
//!
//! Similarity `s` is the cosine; each of the k nearest votes for its class with weight `exp(s / τ)`
//! (Wu et al. 2018, arXiv:1805.01978, section 3.4).

use rayon::prelude::*;

use super::features::{Features, l2_normalize_rows};
use crate::nn::matrix::matmul_bt;

/// Settings of the probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnnSettings {
    /// k; all references if there are fewer.
    pub neighbours: usize,
    /// τ, greater than 0. Wu et al. use 0.07.
    pub temperature: f64,
}

impl Default for KnnSettings {
    fn default() -> Self {
        Self { neighbours: 20, temperature: 0.07 }
    }
}

/// Queries per task and references per matrix product: `128 × 1024` similarities are half a megabyte, which fits the cache
/// while the nearest are selected.
const QUERIES: usize = 128;
const REFERENCES: usize = 1024;

/// Share of the votes per class, `[N, num_classes]`, of N `queries`; all 0 without references.
///
/// `references` have `labels` below `num_classes`. Of equally similar references the earlier one counts as nearer, so the
/// result does not depend on the number of threads.
pub fn knn_scores(
    references: &Features,
    labels: &[usize],
    num_classes: usize,
    queries: &Features,
    settings: KnnSettings,
) -> Vec<f64> {
    let dim = references.dim;
    let (references, queries) = (l2_normalize_rows(&references.rows, dim), l2_normalize_rows(&queries.rows, dim));
    let blocks = queries.par_chunks(QUERIES * dim);
    blocks
        .flat_map_iter(|block| {
            let nearest = nearest_of_block(&references, dim, block, settings.neighbours);
            nearest.into_iter().flat_map(|near| votes(&near, labels, num_classes, settings.temperature))
        })
        .collect()
}

/// Indices of the `neighbours` most similar `references` of each query, most similar first.
pub fn nearest(references: &Features, queries: &Features, neighbours: usize) -> Vec<Vec<usize>> {
    let dim = references.dim;
    let (references, queries) = (l2_normalize_rows(&references.rows, dim), l2_normalize_rows(&queries.rows, dim));
    let of_block = |block: &[f32]| nearest_of_block(&references, dim, block, neighbours);
    let found: Vec<Vec<(f32, usize)>> = queries.par_chunks(QUERIES * dim).flat_map_iter(of_block).collect();
    found.into_iter().map(|near| near.into_iter().map(|(_, index)| index).collect()).collect()
}

/// The `neighbours` most similar other features of each feature, most similar first, as (cosine similarity, index).
pub fn nearest_others(features: &Features, neighbours: usize) -> Vec<Vec<(f32, usize)>> {
    let rows = l2_normalize_rows(&features.rows, features.dim);
    others(&rows, &rows, features.dim, neighbours)
}

/// The `neighbours` closest other features of each feature, closest first, as (distance, index). The distance is Euclidean and
/// divided by the root of the dimension: the root mean square of the differences.
pub fn closest_others(features: &Features, neighbours: usize) -> Vec<Vec<(f32, usize)>> {
    // |q - r|² = |q|² - 2 (q·r - |r|²/2): the closest reference has the greatest product of (q, 1) and (r, -|r|²/2).
    let dim = features.dim;
    let squared = |row: &[f32]| row.iter().map(|value| value * value).sum::<f32>();
    let widened = |last: &dyn Fn(&[f32]) -> f32| -> Vec<f32> {
        features.rows.chunks_exact(dim).flat_map(|row| row.iter().copied().chain([last(row)])).collect()
    };
    let (references, queries) = (widened(&|row| -0.5 * squared(row)), widened(&|_| 1.0));
    let mut nearest = others(&references, &queries, dim + 1, neighbours);
    nearest.iter_mut().zip(features.rows.chunks_exact(dim)).for_each(|(near, row)| {
        let length = squared(row);
        // Rounding must not make the square of a distance negative.
        near.iter_mut().for_each(|(value, _)| *value = ((length - 2.0 * *value).max(0.0) / dim as f32).sqrt());
    });
    nearest
}

/// The `neighbours` references of each query with the greatest products, without the one at its own position.
fn others(references: &[f32], queries: &[f32], dim: usize, neighbours: usize) -> Vec<Vec<(f32, usize)>> {
    let blocks = queries.par_chunks(QUERIES * dim).enumerate();
    blocks
        .flat_map_iter(|(number, block)| {
            // One more, because each feature is its own nearest neighbour.
            let nearest = nearest_of_block(references, dim, block, neighbours + 1);
            nearest.into_iter().enumerate().map(move |(offset, mut near)| {
                near.retain(|&(_, index)| index != number * QUERIES + offset);
                near.truncate(neighbours);
                near
            })
        })
        .collect()
}

/// [`knn_scores`] of each feature against all others: one labelled set provides references and queries.
pub fn knn_leave_one_out(features: &Features, labels: &[usize], num_classes: usize, settings: KnnSettings) -> Vec<f64> {
    let nearest = nearest_others(features, settings.neighbours);
    nearest.par_iter().flat_map_iter(|near| votes(near, labels, num_classes, settings.temperature)).collect()
}

/// The `neighbours` most similar references of each query, most similar first, as (similarity, index).
fn nearest_of_block(references: &[f32], dim: usize, queries: &[f32], neighbours: usize) -> Vec<Vec<(f32, usize)>> {
    let num_queries = queries.len() / dim;
    let mut nearest = vec![Vec::with_capacity(neighbours + 1); num_queries];
    let mut similarities = vec![0.0; num_queries * REFERENCES];
    for (tile, block) in references.chunks(REFERENCES * dim).enumerate() {
        let width = block.len() / dim;
        let similarities = &mut similarities[..num_queries * width];
        matmul_bt(queries, block, dim, similarities);
        for (near, row) in nearest.iter_mut().zip(similarities.chunks(width)) {
            for (offset, &similarity) in row.iter().enumerate() {
                insert(near, neighbours, similarity, tile * REFERENCES + offset);
            }
        }
    }
    nearest
}

/// Inserts into `near`, the `neighbours` most similar references so far in order.
fn insert(near: &mut Vec<(f32, usize)>, neighbours: usize, similarity: f32, index: usize) {
    if near.len() == neighbours && near.last().is_none_or(|&(worst, _)| similarity <= worst) {
        return;
    }
    let place = near.partition_point(|&(other, _)| other >= similarity);
    near.insert(place, (similarity, index));
    near.truncate(neighbours);
}

fn votes(near: &[(f32, usize)], labels: &[usize], num_classes: usize, temperature: f64) -> Vec<f64> {
    let mut votes = vec![0.0; num_classes];
    let highest = near.first().map_or(0.0, |&(similarity, _)| similarity);
    for &(similarity, index) in near {
        // Relative to the most similar reference: same shares, and exp() stays finite at any temperature.
        votes[labels[index]] += (f64::from(similarity - highest) / temperature).exp();
    }
    let sum: f64 = votes.iter().sum();
    // The most similar reference adds 1, so the sum is 0 only without references.
    if sum > 0.0 {
        votes.iter_mut().for_each(|vote| *vote /= sum);
    }
    votes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn random(seed: u64, rows: usize, dim: usize) -> Features {
        let mut rng = Rng::for_purpose(seed, "test");
        Features { dim, rows: (0..rows * dim).map(|_| rng.normal()).collect() }
    }

    /// Slow version: sorts all similarities in f64.
    fn slow(references: &Features, labels: &[usize], queries: &Features, settings: KnnSettings) -> Vec<f64> {
        let cosine = |a: &[f32], b: &[f32]| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let mut scores = Vec::new();
        for query in queries.rows.chunks(queries.dim) {
            let mut all: Vec<(f64, usize)> =
                references.rows.chunks(references.dim).zip(labels).map(|(row, &l)| (cosine(query, row), l)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut votes = [0.0; 3];
            all.iter().take(settings.neighbours).for_each(|&(s, l)| votes[l] += (s / settings.temperature).exp());
            let sum: f64 = votes.iter().sum();
            scores.extend(votes.map(|vote| vote / sum));
        }
        scores
    }

    #[test]
    fn the_closest_are_measured_by_euclid() {
        let features = Features { dim: 2, rows: vec![0.0, 0.0, 3.0, 4.0, 0.0, 2.0, 30.0, 40.0] };
        let found = closest_others(&features, 2);
        let of = |at: usize| found[at].iter().map(|&(_, index)| index).collect::<Vec<_>>();
        assert_eq!([of(0), of(1), of(2), of(3)], [[2, 1], [2, 0], [0, 1], [1, 2]]);
        assert!((found[0][1].0 - 5.0 / 2f32.sqrt()).abs() < 1e-5, "{found:?}");
        assert!((found[3][0].0 - 45.0 / 2f32.sqrt()).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn scores_agree_with_sorting_all_similarities() {
        let (references, queries) = (random(1, 2 * REFERENCES + 77, 9), random(2, QUERIES + 5, 9));
        let labels: Vec<usize> = (0..references.len()).map(|i| i % 3).collect();
        for neighbours in [1, 20] {
            let settings = KnnSettings { neighbours, ..KnnSettings::default() };
            let found = knn_scores(&references, &labels, 3, &queries, settings);
            let expected = slow(&references, &labels, &queries, settings);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-4, "k={neighbours}: {found} {expected}");
            }
        }
    }

    #[test]
    fn the_nearest_reference_of_a_feature_is_itself() {
        let features = random(3, 300, 7);
        let found = nearest(&features, &features, 2);
        assert!(found.iter().enumerate().all(|(index, near)| near.len() == 2 && near[0] == index && near[1] != index));
    }

    #[test]
    fn leave_one_out_equals_scoring_against_all_others() {
        let features = random(3, QUERIES + 9, 5);
        let labels: Vec<usize> = (0..features.len()).map(|i| i % 3).collect();
        let settings = KnnSettings { neighbours: 4, ..KnnSettings::default() };
        let found = knn_leave_one_out(&features, &labels, 3, settings);
        for query in 0..features.len() {
            let others: Vec<usize> = (0..features.len()).filter(|&other| other != query).collect();
            let labels: Vec<usize> = others.iter().map(|&other| labels[other]).collect();
            let expected = knn_scores(&features.select(&others), &labels, 3, &features.select(&[query]), settings);
            for (found, expected) in found[query * 3..][..3].iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-9, "{query}: {found} {expected}");
            }
        }
    }

    #[test]
    fn scores_are_zero_without_references() {
        let one = random(4, 1, 3);
        assert_eq!(knn_leave_one_out(&one, &[1], 2, KnnSettings::default()), [0.0, 0.0]);
        let none = Features { dim: 3, rows: Vec::new() };
        assert_eq!(knn_scores(&none, &[], 2, &one, KnnSettings::default()), [0.0, 0.0]);
        assert_eq!(nearest(&none, &one, 3), [Vec::<usize>::new()]);
    }

    #[test]
    fn scores_do_not_depend_on_length_and_accept_few_references() {
        let references = Features { dim: 2, rows: vec![100.0, 0.0, 0.0, 0.01] };
        let queries = Features { dim: 2, rows: vec![0.1, 0.2, 0.0, 0.0] };
        let scores = knn_scores(&references, &[0, 1], 2, &queries, KnnSettings::default());
        // Cosines 1/√5 and 2/√5: votes in the ratio exp(1 / (√5 τ)). A zero feature is as near to both.
        let share = 1.0 / (1.0 + (-1.0 / (5f64.sqrt() * 0.07)).exp());
        assert!((scores[1] - share).abs() < 1e-5 && (scores[2] - 0.5).abs() < 1e-9, "{scores:?}");
    }
}
