//! Cholesky factorisation of symmetric positive definite matrices.
//!
//! A triangle is the upper half of a matrix with its diagonal, row by row: `(0,0), (0,1), … (0,D-1), (1,1), …`.

use core::cmp::Ordering;

use super::error::HeadError;

/// Values of a triangle of `dim` rows.
pub(crate) const fn triangle_len(dim: usize) -> usize {
    dim * (dim + 1) / 2
}

/// Replaces a triangle by its Cholesky factor, the upper `R` with `Rᵀ R` the matrix.
pub(crate) fn factorise(matrix: &mut [f64], dim: usize) -> Result<(), HeadError> {
    let mut start = 0;
    for i in 0..dim {
        let width = dim - i;
        let (row, mut below) = matrix[start..].split_at_mut(width);
        // NaN is not comparable and fails too.
        if row[0].partial_cmp(&0.0) != Some(Ordering::Greater) {
            return Err(HeadError::NotPositiveDefinite { dimension: i });
        }
        let pivot = libm::sqrt(row[0]);
        row.iter_mut().for_each(|value| *value /= pivot);
        for j in 1..width {
            let (target, rest) = below.split_at_mut(width - j);
            let factor = row[j];
            target.iter_mut().zip(&row[j..]).for_each(|(value, &r)| *value -= factor * r);
            below = rest;
        }
        start += width;
    }
    Ok(())
}

/// Replaces `b` by the solution `y` of `Rᵀ y = b`. `|y|²` is `bᵀ M⁻¹ b` of the factorised matrix `M`.
pub(crate) fn solve_transposed(factor: &[f64], vector: &mut [f64]) {
    let dim = vector.len();
    let mut start = 0;
    for i in 0..dim {
        let row = &factor[start..start + dim - i];
        vector[i] /= row[0];
        let y = vector[i];
        // Subtracts the contribution of y_i from all later entries.
        vector[i + 1..].iter_mut().zip(&row[1..]).for_each(|(value, &r)| *value -= r * y);
        start += dim - i;
    }
}

/// Replaces `y` by the solution `w` of `R w = y`.
pub(crate) fn solve(factor: &[f64], vector: &mut [f64]) {
    let dim = vector.len();
    let mut start = triangle_len(dim);
    for i in (0..dim).rev() {
        start -= dim - i;
        let row = &factor[start..start + dim - i];
        let mut value = vector[i];
        for (&r, &w) in row[1..].iter().zip(&vector[i + 1..]) {
            value -= r * w;
        }
        vector[i] = value / row[0];
    }
}

/// `a · b`, summed in order.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (&a, &b) in a.iter().zip(b) {
        sum += a * b;
    }
    sum
}
