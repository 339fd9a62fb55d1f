//! Features in memory, their mean and standard deviation.

use rayon::prelude::*;

use crate::encoder::CorpusStatistics;

/// Rows summed per task. Fixed, so that the order of sums does not depend on the number of threads.
const BLOCK: usize = 64;

/// Features of N images.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// D, at least 1.
    pub dim: usize,
    /// `[N, D]`.
    pub rows: Vec<f32>,
}

impl Features {
    /// N.
    pub fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Whether there are no features.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// One feature, `[D]`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.dim..][..self.dim]
    }

    /// The features at `positions`, in that order.
    pub fn select(&self, positions: &[usize]) -> Self {
        let rows = positions.iter().flat_map(|&position| self.row(position)).copied().collect();
        Self { dim: self.dim, rows }
    }

    /// Centres and scales each dimension with the device's own code,
    /// [`standardise`](macula_edge::feature::CorpusStats::standardise). A dimension that is constant in the corpus is
    /// centred only.
    ///
    /// * `corpus`: `[D]` each
    pub fn standardise(&mut self, corpus: &CorpusStatistics) {
        let corpus = corpus.view();
        self.rows.par_chunks_mut(self.dim).for_each(|row| {
            row.iter_mut().enumerate().for_each(|(d, value)| *value = corpus.standardise(d, *value));
        });
    }
}

/// `rows` `[N, D]`, each scaled to length 1; a row of zeros stays zero.
pub fn l2_normalize_rows(rows: &[f32], dim: usize) -> Vec<f32> {
    let mut unit = rows.to_vec();
    unit.par_chunks_mut(dim).for_each(|row| {
        let squares: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
        if squares > 0.0 {
            let scale = (1.0 / squares.sqrt()) as f32;
            row.iter_mut().for_each(|value| *value *= scale);
        }
    });
    unit
}

/// Mean and standard deviation of features that are in memory.
pub fn corpus_of(features: &Features) -> CorpusStatistics {
    let blocks = features.rows.par_chunks(BLOCK * features.dim);
    let parts: Vec<Moments> = blocks.map(|block| Moments::of(block, features.dim)).collect();
    let mut moments = Moments::new(features.dim);
    parts.iter().for_each(|part| moments.merge(part));
    moments.statistics()
}

/// Count, mean and sum of squared deviations of each dimension (Chan, Golub and LeVeque 1979).
pub(crate) struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    pub fn new(dim: usize) -> Self {
        Self { count: 0.0, mean: vec![0.0; dim], squares: vec![0.0; dim] }
    }

    pub fn of(rows: &[f32], dim: usize) -> Self {
        let mut moments = Self::new(dim);
        for row in rows.chunks(dim) {
            moments.count += 1.0;
            for ((mean, squares), &value) in moments.mean.iter_mut().zip(&mut moments.squares).zip(row) {
                let deviation = f64::from(value) - *mean;
                *mean += deviation / moments.count;
                *squares += deviation * (f64::from(value) - *mean);
            }
        }
        moments
    }

    pub fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        if count == 0.0 {
            return;
        }
        for d in 0..self.mean.len() {
            let difference = other.mean[d] - self.mean[d];
            self.mean[d] += difference * other.count / count;
            self.squares[d] += other.squares[d] + difference * difference * self.count * other.count / count;
        }
        self.count = count;
    }

    pub fn statistics(&self) -> CorpusStatistics {
        // Biased, as in scikit-learn's StandardScaler.
        let std = self.squares.iter().map(|squares| (squares / self.count.max(1.0)).sqrt() as f32).collect();
        CorpusStatistics { mean: self.mean.iter().map(|&mean| mean as f32).collect(), std, length_max: None }
    }
}

#[cfg(test)]
mod tests {
    use macula_edge::feature::quantise;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn merged_moments_equal_those_of_all_rows() {
        let mut rng = Rng::for_purpose(4, "test");
        let (dim, count) = (3, 1000);
        let rows: Vec<f32> = (0..dim * count).map(|i| 1000.0 * (i % dim) as f32 + rng.normal()).collect();
        let mut merged = Moments::new(dim);
        rows.chunks(dim * 64).for_each(|block| merged.merge(&Moments::of(block, dim)));
        let found = merged.statistics();
        for d in 0..dim {
            let column: Vec<f64> = rows.iter().skip(d).step_by(dim).map(|&value| f64::from(value)).collect();
            let mean = column.iter().sum::<f64>() / count as f64;
            let std = (column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64).sqrt();
            assert!((f64::from(found.mean[d]) - mean).abs() < 1e-4, "{} {mean}", found.mean[d]);
            assert!((f64::from(found.std[d]) - std).abs() < 1e-5, "{} {std}", found.std[d]);
        }
    }

    /// Evaluation on the host gives the bytes that a device stores, also for dimensions that are constant.
    #[test]
    fn the_host_standardises_as_the_device_does() {
        let (mut rng, dim) = (Rng::for_purpose(5, "test"), 24);
        let mut features = Features { dim, rows: (0..dim * 200).map(|_| 3.0 + 2.0 * rng.normal()).collect() };
        let constant = |d: usize| d.is_multiple_of(5);
        let std = (0..dim).map(|d| if constant(d) { 0.0 } else { 0.1 + rng.uniform() }).collect();
        let corpus = CorpusStatistics { mean: (0..dim).map(|_| rng.normal()).collect(), std, length_max: None };
        let on_device = corpus.view();
        let before = features.clone();
        features.standardise(&corpus);
        let (mut expected, mut found) = (vec![0; dim], vec![0; dim]);
        for (before, standardised) in before.rows.chunks(dim).zip(features.rows.chunks(dim)) {
            quantise(before, Some(on_device), &mut expected).unwrap();
            quantise(standardised, None, &mut found).unwrap();
            assert_eq!(found, expected);
            assert!((0..dim).any(|d| constant(d) && found[d] != 0));
        }
    }

    #[test]
    fn standardised_features_have_mean_0_and_deviation_1() {
        let mut features = Features { dim: 2, rows: vec![1.0, 7.0, 3.0, 7.0] };
        let corpus = Moments::of(&features.rows, 2).statistics();
        features.standardise(&corpus);
        assert_eq!(features.rows, [-1.0, 0.0, 1.0, 0.0], "the second dimension never varies");
        let mut other = Features { dim: 2, rows: vec![3.0, 7.5] };
        other.standardise(&corpus);
        assert_eq!(other.rows, [1.0, 0.5], "a dimension that never varied is centred, not scaled and not set to 0");
        assert_eq!(features.select(&[1, 1]).rows, [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(l2_normalize_rows(&[3.0, 4.0, 0.0, 0.0], 2), [0.6, 0.8, 0.0, 0.0]);
    }
}
