//! t-SNE: a map in two dimensions on which similar images are near each other.
//!
//! Van der Maaten and Hinton 2008, by the crate `bhtsne` (Barnes-Hut, van der Maaten 2014). The map starts from the principal
//! components, not from random positions (Kobak and Berens 2019, "The art of using t-SNE for single-cell transcriptomics"). The crate adds numbers
//! in an order that depends on its threads, so it has one: the same features give the same map.

use bhtsne::{Neighbor, tSNE};

use crate::rng::Rng;

/// Settings of the map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Effective number of neighbours; less with few points.
    perplexity: f64,
    /// Steps of gradient descent.
    steps: usize,
    /// Accuracy of Barnes-Hut; smaller is more accurate.
    theta: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { perplexity: 30.0, steps: 500, theta: 0.5 }
    }
}

/// Fewest points of a map.
const POINTS_MIN: usize = 12;

/// Deviation of the first coordinate at the start, so small that the map forgets distances it does not need (as in scikit-learn).
const START: f64 = 1e-4;

/// The map of `rows` `[N, dim]`; `None` with fewer than 12 points, or if points or result are not usable.
///
/// * `start`: the first two principal components of each row
pub(super) fn tsne(rows: &[f64], dim: usize, start: &[[f64; 2]], settings: Settings) -> Option<Vec<[f64; 2]>> {
    let count = start.len();
    if count < POINTS_MIN || dim == 0 || rows.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let perplexity = settings.perplexity.min(((count - 1) / 3) as f64);
    let neighbours = neighbours(rows, dim, 3 * perplexity as usize);
    let deviation = (start.iter().map(|point| point[0] * point[0]).sum::<f64>() / count as f64).sqrt();
    if deviation == 0.0 {
        // All points are equal.
        return None;
    }
    // Equal images would stay on one point.
    let mut rng = Rng::for_purpose(count as u64, "t-SNE");
    let shaken = |value: &f64| START * (value / deviation + 0.01 * f64::from(rng.normal()));
    let initial: Vec<f64> = start.iter().flatten().map(shaken).collect();
    let points: Vec<usize> = (0..count).collect();
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().ok()?;
    let found = one_thread.install(|| {
        let mut map = tSNE::<f64, usize, 2>::new(&points);
        map.perplexity(perplexity).epochs(settings.steps).initial_embedding(initial);
        map.barnes_hut_with_neighbors(settings.theta, &neighbours).embedding()
    });
    let found: Vec<[f64; 2]> = found.as_chunks::<2>().0.to_vec();
    (found.len() == count && found.iter().flatten().all(|value| value.is_finite())).then_some(found)
}

/// The `wanted` nearest other rows of each row, nearest first; the earlier one of equally near rows.
fn neighbours(rows: &[f64], dim: usize, wanted: usize) -> Vec<Vec<Neighbor<f64>>> {
    let of = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let near = |(at, row): (usize, &[f64])| {
        let others = rows.chunks_exact(dim).enumerate().filter(|(index, _)| *index != at);
        let mut all: Vec<Neighbor<f64>> =
            others.map(|(index, other)| Neighbor { index, distance: of(row, other) }).collect();
        all.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        all.truncate(wanted);
        all
    };
    rows.chunks_exact(dim).enumerate().map(near).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Three clouds, far from each other.
    fn clouds() -> (Vec<f64>, Vec<[f64; 2]>) {
        let mut rng = Rng::for_purpose(1, "test");
        let rows: Vec<f64> =
            (0..60 * 4).map(|at| f64::from(rng.normal()) + if at % 4 == at / 4 % 3 { 12.0 } else { 0.0 }).collect();
        let start = rows.chunks_exact(4).map(|row| [row[0] - 4.0, row[1] - 4.0]).collect();
        (rows, start)
    }

    #[test]
    fn clouds_stay_together_and_apart() {
        let (rows, start) = clouds();
        let map = tsne(&rows, 4, &start, Settings::default()).unwrap();
        let distance = |a: [f64; 2], b: [f64; 2]| ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt();
        for (at, &point) in map.iter().enumerate() {
            let others = (0..60).filter(|&other| other != at);
            let nearest = others.min_by(|&a, &b| distance(map[a], point).total_cmp(&distance(map[b], point))).unwrap();
            assert_eq!(nearest % 3, at % 3, "point {at}");
        }
    }

    #[test]
    fn threads_do_not_change_the_map() {
        let (rows, start) = clouds();
        let map = || tsne(&rows, 4, &start, Settings::default()).unwrap();
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool(1).install(map), pool(4).install(map));
    }

    /// Three images, twenty times each: a map is found, though most distances are 0.
    #[test]
    fn equal_images_have_a_map() {
        let rows: Vec<f64> = (0..60).flat_map(|at| [f64::from(at % 3), f64::from(at % 3 == 1)]).collect();
        let start: Vec<[f64; 2]> = rows.chunks_exact(2).map(|row| [row[0] - 1.0, row[1] - 1.0 / 3.0]).collect();
        assert_eq!(tsne(&rows, 2, &start, Settings::default()).unwrap().len(), 60);
    }

    #[test]
    fn too_few_or_equal_points_have_no_map() {
        let map = |count: usize| tsne(&vec![1.0; count * 2], 2, &vec![[0.0; 2]; count], Settings::default());
        assert!(map(0).is_none() && map(11).is_none() && map(40).is_none());
    }
}
