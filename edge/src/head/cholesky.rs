//! Cholesky factorisation of symmetric positive definite matrices, in f32: a preconditioner needs no more.
//!
//! A triangle is the upper half of a matrix with its diagonal, row by row: `(0,0), (0,1), … (0,D-1), (1,1), …`.

use super::block::BLOCK;

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

/// Replaces the vectors `b` by the solutions `x` of `Rᵀ R x = b`, a block at a time.
///
/// * `columns`: a block of vectors, one in each column, `[dim]`
pub(super) fn solve(factor: &[f32], columns: &mut [[f32; BLOCK]]) {
    let dim = columns.len();
    let mut start = 0;
    for i in 0..dim {
        let row = &factor[start..start + dim - i];
        let (first, later) = columns[i..].split_at_mut(1);
        let y = first[0].map(|value| value * row[0]);
        first[0] = y;
        // Subtracts the contribution of y_i from all later entries.
        let ((pairs, last), (columns, last_column)) = (row[1..].as_chunks::<2>(), later.as_chunks_mut::<2>());
        for (r, columns) in pairs.iter().zip(columns) {
            for (column, r) in columns.iter_mut().zip(r) {
                for b in 0..BLOCK {
                    column[b] -= r * y[b];
                }
            }
        }
        for (r, column) in last.iter().zip(last_column) {
            for b in 0..BLOCK {
                column[b] -= r * y[b];
            }
        }
        start += dim - i;
    }
    for i in (0..dim).rev() {
        start -= dim - i;
        let row = &factor[start..start + dim - i];
        let (value, later) = columns[i..].split_at_mut(1);
        // Two sums, because an addition waits for the one before it.
        let ((pairs, last), (columns, last_column)) = (row[1..].as_chunks::<2>(), later.as_chunks::<2>());
        let mut sums = [[0.0; BLOCK]; 2];
        for (r, x) in pairs.iter().zip(columns) {
            for b in 0..BLOCK {
                sums[0][b] += r[0] * x[0][b];
            }
            for b in 0..BLOCK {
                sums[1][b] += r[1] * x[1][b];
            }
        }
        for (&r, x) in last.iter().zip(last_column) {
            for b in 0..BLOCK {
                sums[0][b] += r * x[b];
            }
        }
        for b in 0..BLOCK {
            value[0][b] = (value[0][b] - (sums[0][b] + sums[1][b])) * row[0];
        }
    }
}
