//! MoCo: a query must find the key of its own image among the keys of images long gone.
//!
//! He et al. 2020, arXiv:1911.05722, equation 1 and algorithm 1; with the projection head of version 2 (Chen et al.
//! 2020, arXiv:2003.04297). Keys come from a copy of the encoder that follows it slowly, so a queue of them stays
//! comparable, and the number of negatives does not depend on the batch.

use super::projection::Projection;
use super::{Batch, HeadTensor, Momentum, Objective, Verdict};
use crate::augment::Augmentation;
use crate::data::Image;
use crate::nn::cross_entropy::{argmax_rows, cross_entropy};
use crate::nn::l2_normalize::{l2_normalize, l2_normalize_backward};
use crate::nn::matrix::{matmul, matmul_bt};
use crate::rng::Rng;

/// InfoNCE against a queue; no labels are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moco {
    projection: Projection,
    temperature: f32,
    momentum: Momentum,
}

impl Moco {
    /// * `temperature`: above 0
    /// * `keep`: share of the key encoder that stays at each step, 0 to below 1
    /// * `queue_len`: keys of earlier images, at least 1
    /// * `hidden`, `projection_dim`: sizes of the projection head, at least 1
    pub fn new(temperature: f32, keep: f32, queue_len: usize, hidden: usize, projection_dim: usize) -> Self {
        let momentum = Momentum { keep, queue_len, key_dim: projection_dim };
        Self { projection: Projection { hidden, dim: projection_dim }, temperature, momentum }
    }
}

impl Objective for Moco {
    fn views(&self) -> usize {
        2
    }

    fn views_of(&self, image: &Image, augmentation: &Augmentation, rng: &mut Rng) -> Vec<Image> {
        (0..2).map(|_| augmentation.apply(image, rng)).collect()
    }

    /// One question, "which key is of the same image?", answered rightly or not.
    fn num_classes(&self) -> usize {
        1
    }

    fn head_layout(&self, feature_dim: usize) -> Vec<HeadTensor> {
        self.projection.layout(feature_dim)
    }

    fn head_start(&self, feature_dim: usize, rng: &mut Rng) -> Vec<f32> {
        self.projection.start(feature_dim, rng)
    }

    fn momentum(&self) -> Option<Momentum> {
        Some(self.momentum)
    }

    fn keys(&self, head: &[f32], features: &[f32], feature_dim: usize) -> Vec<f32> {
        let projected = self.projection.forward(head, features, feature_dim).out;
        let mut keys = vec![0.0; projected.len()];
        l2_normalize(&mut keys, &projected, self.projection.dim);
        keys
    }

    fn loss(&self, head: &[f32], batch: Batch<'_>, dhead: &mut [f32], dfeatures: &mut [f32]) -> Verdict {
        let images = batch.labels.len();
        let projected = self.projection.forward(head, batch.features, batch.features.len() / images);
        let mut dout = vec![0.0; projected.out.len()];
        let found = info_nce(&mut dout, &projected.out, batch.keys, batch.queue, self.projection.dim, self.temperature);
        self.projection.backward(head, batch.features, &projected, &dout, dhead, dfeatures);
        Verdict { targets: vec![0; images], ..found }
    }
}

/// Loss of the queries `u` with its gradient: cross-entropy of `q · k / τ` over the own key and the queue.
///
/// * `du`: `[N, P]`, overwritten
/// * `u`: `[N, P]`, of any length; `q = u / |u|`
/// * `keys`: `[N, P]`, the own key of each, of unit length, taken as constants
/// * `queue`: `[K, P]`, of unit length, taken as constants
///
/// # Panics
/// When the lengths do not fit.
pub fn info_nce(du: &mut [f32], u: &[f32], keys: &[f32], queue: &[f32], dim: usize, temperature: f32) -> Verdict {
    let (images, queued) = (u.len() / dim, queue.len() / dim);
    assert!(keys.len() == u.len() && du.len() == u.len() && queue.len() == queued * dim, "rows of {dim} values");
    let mut q = vec![0.0; u.len()];
    let inverse_lengths = l2_normalize(&mut q, u, dim);
    let mut against_queue = vec![0.0; images * queued];
    if queued > 0 {
        matmul_bt(&q, queue, dim, &mut against_queue);
    }
    // Of queries and keys of other images, which are all of the queue.
    let cosines = against_queue.iter().map(|&cosine| f64::from(cosine)).sum::<f64>();
    let distance = (queued > 0).then(|| 2.0 - 2.0 * cosines / against_queue.len() as f64);
    let mut logits = Vec::with_capacity(images * (queued + 1));
    for image in 0..images {
        let [q, key] = [&q, keys].map(|rows| &rows[image * dim..][..dim]);
        logits.push(q.iter().zip(key).map(|(q, k)| q * k).sum::<f32>() / temperature);
        logits.extend(against_queue[image * queued..][..queued].iter().map(|s| s / temperature));
    }
    let mut dlogits = vec![0.0; logits.len()];
    let loss = cross_entropy(&mut dlogits, &logits, &vec![0; images], 0.0);
    // dq = (Σ_j dlogit_j k_j) / τ over the queue and the own key.
    for (row, dlogits) in against_queue.chunks_exact_mut(queued.max(1)).zip(dlogits.chunks_exact(queued + 1)) {
        row.copy_from_slice(&dlogits[1..]);
    }
    du.fill(0.0);
    if queued > 0 {
        matmul(&against_queue, queue, queued, dim, du);
    }
    for (image, du) in du.chunks_exact_mut(dim).enumerate() {
        let own = dlogits[image * (queued + 1)];
        du.iter_mut().zip(&keys[image * dim..]).for_each(|(d, k)| *d = (*d + own * k) / temperature);
    }
    let solved = dlogits.chunks_exact(queued + 1).filter(|row| -row[0] * (images as f32) < 1e-3).count();
    l2_normalize_backward(du, &q, &inverse_lengths, dim);
    let answers = argmax_rows(&logits, queued + 1).into_iter().map(|largest| largest.min(1)).collect();
    Verdict {
        loss,
        targets: vec![0; images],
        answers,
        measures: [("zero_gradient", solved as f64 / images as f64)]
            .into_iter()
            .chain(distance.map(|distance| ("distance", distance)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random_unit_rows(seed: u64, rows: usize, dim: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(seed, "test");
        let u: Vec<f32> = (0..rows * dim).map(|_| rng.normal()).collect();
        let mut z = vec![0.0; u.len()];
        l2_normalize(&mut z, &u, dim);
        z
    }

    /// Own key at cosine 1 and K keys at cosine 0: `ln(1 + K exp(-1/τ))`.
    #[test]
    fn orthogonal_keys_in_closed_form() {
        let (queue, temperature) = ([0.0, 1.0, 0.0, -1.0, 0.0, 1.0], 0.2f32);
        let verdict = info_nce(&mut [0.0; 2], &[5.0, 0.0], &[1.0, 0.0], &queue, 2, temperature);
        let expected = (1.0 + 3.0 * (-1.0 / f64::from(temperature)).exp()).ln();
        assert!((verdict.loss - expected).abs() < 1e-6, "{} {expected}", verdict.loss);
        assert_eq!(verdict.answers, [0]);
        let empty = info_nce(&mut [0.0; 2], &[5.0, 0.0], &[1.0, 0.0], &[], 2, temperature);
        assert_eq!(empty.loss, 0.0, "without negatives nothing is asked");
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let moco = Moco::new(0.3, 0.99, 5, 6, 4);
        let (feature_dim, images, mut rng) = (5, 3, Rng::for_purpose(1, "test"));
        let head = moco.head_start(feature_dim, &mut rng);
        let features: Vec<f32> = (0..images * feature_dim).map(|_| rng.normal()).collect();
        let (keys, queue) = (random_unit_rows(2, images, 4), random_unit_rows(3, 5, 4));
        let loss = |head: &[f32], features: &[f32], dhead: &mut [f32], dfeatures: &mut [f32]| {
            let batch = Batch { features, labels: &[None; 3], keys: &keys, queue: &queue, ..Batch::default() };
            moco.loss(head, batch, dhead, dfeatures).loss
        };
        let (mut dhead, mut dfeatures) = (vec![9.0; head.len()], vec![9.0; features.len()]);
        loss(&head, &features, &mut dhead, &mut dfeatures);
        let check = |analytic: &[f32], at: &[f32], loss: &dyn Fn(&[f32]) -> f64| {
            for i in 0..at.len() {
                let nudged = |by: f32| {
                    let mut nudged = at.to_vec();
                    nudged[i] += by;
                    loss(&nudged)
                };
                let numeric = (nudged(1.0 / 512.0) - nudged(-1.0 / 512.0)) * 256.0;
                assert!((numeric - f64::from(analytic[i])).abs() < 1e-3, "{i}: {numeric} {}", analytic[i]);
            }
        };
        let (h, f) = (head.len(), features.len());
        check(&dhead, &head, &|head| loss(head, &features, &mut vec![0.0; h], &mut vec![0.0; f]));
        check(&dfeatures, &features, &|features| loss(&head, features, &mut vec![0.0; h], &mut vec![0.0; f]));
    }
}
