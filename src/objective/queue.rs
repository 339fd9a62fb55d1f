//! A queue of earlier features of unit length, which a contrastive or distilling loss compares with.
//!
//! Row `i` of a step is compared with K + 1 candidates: its own one, then the queue.

use crate::encoder::{NamedTensor, TensorError};
use crate::nn::l2_normalize::l2_normalize;
use crate::nn::matrix::{matmul, matmul_bt};
use crate::rng::Rng;

/// The newest K rows, a ring buffer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Queue {
    dim: usize,
    /// `[K, P]`, of unit length.
    pub rows: Vec<f32>,
    /// Where the next row goes.
    next: usize,
}

impl Queue {
    /// `len` random directions of `dim` dimensions.
    pub fn random(len: usize, dim: usize, rng: &mut Rng) -> Self {
        let drawn: Vec<f32> = (0..len * dim).map(|_| rng.normal()).collect();
        let mut rows = vec![0.0; drawn.len()];
        l2_normalize(&mut rows, &drawn, dim);
        Self { dim, rows, next: 0 }
    }

    /// K.
    fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Replaces the oldest rows by `rows` `[N, P]`.
    pub fn push(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.dim) {
            self.rows[self.next * self.dim..][..self.dim].copy_from_slice(row);
            self.next = (self.next + 1) % self.len();
        }
    }

    /// Rows and position, for a checkpoint.
    pub fn to_named(&self) -> [NamedTensor; 2] {
        let shape = vec![self.len(), self.dim];
        // A tensor as well, because the position belongs to the queue. Exact in f32 up to 2²⁴.
        let next = NamedTensor { name: "next".to_owned(), shape: vec![1], data: vec![self.next as f32] };
        [NamedTensor { name: "queue".to_owned(), shape, data: self.rows.clone() }, next]
    }

    /// Restores the tensors of [`Self::to_named`].
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn read_named(&mut self, tensors: &[NamedTensor]) -> Result<(), TensorError> {
        self.rows.clone_from(&NamedTensor::find(tensors, "queue", &[self.len(), self.dim])?.data);
        self.next = NamedTensor::find(tensors, "next", &[1])?.data[0] as usize % self.len();
        Ok(())
    }
}

/// `a_i · d_j` of each row and its candidates, `[M, K + 1]`.
///
/// * `a`, `own`: `[M, dim]`
/// * `queue`: `[K, dim]`
pub(super) fn similarities(a: &[f32], own: &[f32], queue: &[f32], dim: usize) -> Vec<f32> {
    let (rows, queued) = (a.len() / dim, queue.len() / dim);
    let mut to_queue = vec![0.0; rows * queued];
    if queued > 0 {
        matmul_bt(a, queue, dim, &mut to_queue);
    }
    let mut all = Vec::with_capacity(rows * (queued + 1));
    for (row, (a, own)) in a.chunks_exact(dim).zip(own.chunks_exact(dim)).enumerate() {
        all.push(a.iter().zip(own).map(|(a, d)| a * d).sum::<f32>());
        all.extend_from_slice(&to_queue[row * queued..][..queued]);
    }
    all
}

/// `Σ_j w_ij d_j` of each row, `[M, dim]`: with the gradient of [`similarities`] as weights, that of `a`.
///
/// * `weights`: `[M, K + 1]`
pub(super) fn weighted_candidates(weights: &[f32], own: &[f32], queue: &[f32], dim: usize) -> Vec<f32> {
    let queued = queue.len() / dim;
    let mut sums = vec![0.0; own.len()];
    if queued > 0 {
        let of_queue: Vec<f32> = weights.chunks_exact(queued + 1).flat_map(|row| &row[1..]).copied().collect();
        matmul(&of_queue, queue, queued, dim, &mut sums);
    }
    let rows = sums.chunks_exact_mut(dim).zip(own.chunks_exact(dim)).zip(weights.chunks_exact(queued + 1));
    for ((sum, own), weights) in rows {
        sum.iter_mut().zip(own).for_each(|(sum, d)| *sum += weights[0] * d);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_rows_replace_the_oldest_and_tensors_restore_the_queue() {
        let mut queue = Queue::random(3, 2, &mut Rng::for_purpose(1, "test"));
        assert!(queue.rows.chunks(2).all(|row| (row[0].hypot(row[1]) - 1.0).abs() < 1e-6));
        queue.push(&[1.0, 0.0, 0.0, 1.0]);
        queue.push(&[-1.0, 0.0, 0.0, -1.0]);
        assert_eq!(queue.rows, [0.0, -1.0, 0.0, 1.0, -1.0, 0.0], "the fourth row replaces the first");
        let mut other = Queue::random(3, 2, &mut Rng::for_purpose(2, "test"));
        other.read_named(&queue.to_named()).unwrap();
        assert_eq!(other, queue);
        let mut longer = Queue::random(4, 2, &mut Rng::for_purpose(2, "test"));
        assert!(matches!(longer.read_named(&queue.to_named()), Err(TensorError::Shape { .. })));
    }
}
