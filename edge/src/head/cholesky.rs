//! Cholesky factorisation of symmetric positive definite matrices, in f32: a preconditioner needs no more.
//!
//! A triangle is the upper half of a matrix with its diagonal, row by row: `(0,0), (0,1), … (0,D-1), (1,1), …`.

use super::block::dot;

/// Values of a triangle of `dim` rows.
pub(super) const fn triangle_len(dim: usize) -> usize {
    dim * (dim + 1) / 2
}

/// Replaces a triangle by its Cholesky factor, the upper `R` with `Rᵀ R` the matrix.
///
/// Pivots are raised to `pivot_min`, so that rounding never leaves a matrix without a factor.
pub(super) fn factorise(matrix: &mut [f32], dim: usize, pivot_min: f32) {
    let mut start = 0;
    for i in 0..dim {
        let width = dim - i;
        let (row, mut below) = matrix[start..].split_at_mut(width);
        let inverse = 1.0 / libm::sqrtf(if row[0] > pivot_min { row[0] } else { pivot_min });
        row.iter_mut().for_each(|value| *value *= inverse);
        // The solutions divide by it.
        row[0] = inverse;
        for j in 1..width {
            let (target, rest) = below.split_at_mut(width - j);
            let factor = row[j];
            target.iter_mut().zip(&row[j..]).for_each(|(value, &r)| *value -= factor * r);
            below = rest;
        }
        start += width;
    }
}

/// Replaces `b` by the solution `x` of `Rᵀ R x = b`.
pub(super) fn solve(factor: &[f32], vector: &mut [f32]) {
    let dim = vector.len();
    let mut start = 0;
    for i in 0..dim {
        let row = &factor[start..start + dim - i];
        let y = vector[i] * row[0];
        vector[i] = y;
        // Subtracts the contribution of y_i from all later entries.
        vector[i + 1..].iter_mut().zip(&row[1..]).for_each(|(value, &r)| *value -= r * y);
        start += dim - i;
    }
    for i in (0..dim).rev() {
        start -= dim - i;
        let row = &factor[start..start + dim - i];
        vector[i] = (vector[i] - dot(&row[1..], &vector[i + 1..])) * row[0];
    }
}
