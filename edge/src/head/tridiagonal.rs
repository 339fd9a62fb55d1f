//! Symmetric matrices in tridiagonal form, `S = Q T Qᵀ` with `Q` orthogonal: `S + κ I = Q (T + κ I) Qᵀ` for every `κ`.
//!
//! Householder's reduction and its accumulation (Martin, Reinsch and Wilkinson 1968, *Numerische Mathematik* 11, `tred2`),
//! both on rows, which lie in memory one after another. r rows.

use core::cmp::Ordering;

use super::block::dot;
use super::error::HeadError;

/// Reduces `matrix` to tridiagonal form and replaces it by `Qᵀ`: row j is the vector of coordinate j.
///
/// * `matrix`: `[r, r]`; its lower triangle is read
/// * `diagonal`: `[r]`
/// * `beside`: `[r]`; value i is beside the diagonal in rows i - 1 and i, the first is 0
/// * `work`: `[r]`
pub(super) fn reduce(matrix: &mut [f64], diagonal: &mut [f64], beside: &mut [f64], work: &mut [f64]) {
    let rank = diagonal.len();
    for i in (0..rank).rev() {
        let (above, row) = matrix.split_at_mut(i * rank);
        diagonal[i] = row[i];
        // The scale of the reflection until `Qᵀ` is formed, as `diagonal` holds that of the matrix.
        beside[i] = reflect(above, rank, &mut row[..i], &mut work[..i]);
        row[i] = work.get(i.wrapping_sub(1)).copied().unwrap_or_default();
    }
    for i in 0..rank {
        let (above, row) = matrix.split_at_mut(i * rank);
        let scale = beside[i];
        beside[i] = row[i];
        let reflection = &mut row[..i];
        for other in above.chunks_exact_mut(rank) {
            let along = scale * dot(&other[..i], reflection);
            other[..i].iter_mut().zip(&*reflection).for_each(|(q, v)| *q -= along * v);
            other[i] = 0.0;
        }
        reflection.fill(0.0);
        row[i] = 1.0;
    }
}

/// Replaces `row` by a vector `v` and applies `H = I - β v vᵀ`, which maps `row` to its last axis, on both sides of the
/// matrix above it. Returns `β`; the last value of `work` is that of the mapped row.
fn reflect(above: &mut [f64], rank: usize, row: &mut [f64], work: &mut [f64]) -> f64 {
    let Some((&mut last, rest)) = row.split_last_mut() else {
        return 0.0;
    };
    let others = dot(rest, rest);
    if others == 0.0 {
        *work.last_mut().unwrap_or(&mut 0.0) = last;
        return 0.0;
    }
    let length = libm::sqrt(others + last * last);
    // The sign that does not cancel.
    let mapped = if last > 0.0 { -length } else { length };
    let (end, v) = (row.len() - 1, row);
    v[end] = last - mapped;
    let scale = -1.0 / (mapped * v[end]);
    // p = β A v, from the lower triangle.
    for j in 0..=end {
        let line = &above[j * rank..][..j];
        let along = v[j];
        work[j] = above[j * rank + j] * along + dot(line, &v[..j]);
        work[..j].iter_mut().zip(line).for_each(|(p, a)| *p += along * a);
    }
    work.iter_mut().for_each(|p| *p *= scale);
    let half = 0.5 * scale * dot(work, v);
    work.iter_mut().zip(&*v).for_each(|(p, v)| *p -= half * v);
    for j in 0..=end {
        let (a, b) = (v[j], work[j]);
        let line = &mut above[j * rank..][..=j];
        line.iter_mut().zip(&*work).zip(&*v).for_each(|((value, w), v)| *value -= a * w + b * v);
    }
    work[end] = mapped;
    scale
}

/// The Cholesky factor of `T + κ I`, `Rᵀ R` with R upper bidiagonal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factor<'w> {
    /// 1 / the diagonal of R, `[r]`.
    inverse: &'w [f64],
    /// The values beside it, `[r]`; the first is 0, value i is in row i - 1.
    beside: &'w [f64],
}

/// Replaces the diagonal of T and the values beside it by the factor of `T + κ I`.
///
/// # Errors
/// If `T + κ I` is not positive definite.
pub(super) fn factorise(diagonal: &mut [f64], beside: &mut [f64], kappa: f64) -> Result<(), HeadError> {
    let mut inverse = 0.0;
    for (dimension, (diagonal, beside)) in diagonal.iter_mut().zip(beside).enumerate() {
        *beside *= inverse;
        let pivot = *diagonal + kappa - *beside * *beside;
        // NaN is not comparable and fails too.
        if pivot.partial_cmp(&0.0) != Some(Ordering::Greater) {
            return Err(HeadError::NotPositiveDefinite { dimension });
        }
        inverse = 1.0 / libm::sqrt(pivot);
        *diagonal = inverse;
    }
    Ok(())
}

impl<'w> Factor<'w> {
    /// The factor that [`factorise`] left.
    pub fn over(inverse: &'w [f64], beside: &'w [f64]) -> Self {
        Self { inverse, beside }
    }

    /// Replaces `z` by `R⁻ᵀ z`, whose squared length is `zᵀ (T + κ I)⁻¹ z`.
    pub fn whiten(self, vector: &mut [f64]) {
        let mut before = 0.0;
        for ((value, inverse), beside) in vector.iter_mut().zip(self.inverse).zip(self.beside) {
            before = (*value - beside * before) * inverse;
            *value = before;
        }
    }

    /// Replaces `y` by `R⁻¹ y`.
    pub fn solve(self, vector: &mut [f64]) {
        let (mut after, mut next_beside) = (0.0, 0.0);
        for ((value, inverse), &beside) in vector.iter_mut().zip(self.inverse).zip(self.beside).rev() {
            after = (*value - next_beside * after) * inverse;
            next_beside = beside;
            *value = after;
        }
    }

    /// The squared lengths of `R⁻ᵀ z` of a block of vectors, given as columns.
    pub fn squares<const B: usize>(self, columns: &[[f64; B]]) -> [f64; B] {
        let (mut before, mut sums) = ([0.0; B], [0.0; B]);
        for ((column, &inverse), &beside) in columns.iter().zip(self.inverse).zip(self.beside) {
            for b in 0..B {
                before[b] = (column[b] - beside * before[b]) * inverse;
                sums[b] += before[b] * before[b];
            }
        }
        sums
    }
}
