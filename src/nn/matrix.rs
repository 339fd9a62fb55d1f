//! Products of row-major `f32` matrices in plain slices.
//!
//! Each product runs on one thread. Callers distribute blocks of fixed size over threads, so the order of sums does not
//! depend on the number of threads.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

fn view(values: &[f32], columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((values.len() / columns, columns), values).expect("a whole number of rows")
}

fn view_mut(values: &mut [f32], columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((values.len() / columns, columns), values).expect("a whole number of rows")
}

/// `out = a bᵀ`: `a` `[N, D]`, `b` `[M, D]`, `out` `[N, M]`, `dim` is D and at least 1.
///
/// # Panics
/// When a length is not a whole number of rows, or the shapes do not match.
pub fn matmul_bt(a: &[f32], b: &[f32], dim: usize, out: &mut [f32]) {
    let columns = b.len() / dim;
    general_mat_mul(1.0, &view(a, dim), &view(b, dim).t(), 0.0, &mut view_mut(out, columns));
}

/// `out = a b`: `a` `[N, K]`, `b` `[K, D]`, `out` `[N, D]`.
///
/// # Panics
/// When a length is not a whole number of rows, or the shapes do not match.
pub fn matmul(a: &[f32], b: &[f32], num_columns_a: usize, dim: usize, out: &mut [f32]) {
    general_mat_mul(1.0, &view(a, num_columns_a), &view(b, dim), 0.0, &mut view_mut(out, dim));
}

/// `out = aᵀ b`: `a` `[N, K]`, `b` `[N, D]`, `out` `[K, D]`.
///
/// # Panics
/// When a length is not a whole number of rows, or the shapes do not match.
pub fn matmul_at(a: &[f32], b: &[f32], num_columns_a: usize, dim: usize, out: &mut [f32]) {
    general_mat_mul(1.0, &view(a, num_columns_a).t(), &view(b, dim), 0.0, &mut view_mut(out, dim));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let (rows, others, dim) = (3, 2, 4);
        let a: Vec<f32> = (0..rows * dim).map(|i| i as f32 - 5.0).collect();
        let b: Vec<f32> = (0..others * dim).map(|i| (i * i) as f32 * 0.5).collect();
        let mut out = vec![f32::NAN; rows * others];
        matmul_bt(&a, &b, dim, &mut out);
        for (i, found) in out.iter().enumerate() {
            let (row, other) = (i / others, i % others);
            let expected: f32 = (0..dim).map(|d| a[row * dim + d] * b[other * dim + d]).sum();
            assert_eq!(*found, expected, "row {row}, column {other}");
        }
        // (aᵀ c)[d][e] = Σ_n a[n][d] c[n][e], with c the `out` above.
        let mut gram = vec![f32::NAN; dim * others];
        matmul_at(&a, &out, dim, others, &mut gram);
        for (i, found) in gram.iter().enumerate() {
            let (d, e) = (i / others, i % others);
            let expected: f32 = (0..rows).map(|n| a[n * dim + d] * out[n * others + e]).sum();
            assert_eq!(*found, expected, "row {d}, column {e}");
        }
        // (out e)[n][k] = Σ_m out[n][m] e[m][k], with e the first two rows of a.
        let mut product = vec![f32::NAN; rows * dim];
        matmul(&out, &a[..others * dim], others, dim, &mut product);
        for (i, found) in product.iter().enumerate() {
            let expected: f32 = (0..others).map(|m| out[i / dim * others + m] * a[m * dim + i % dim]).sum();
            assert_eq!(*found, expected, "row {}, column {}", i / dim, i % dim);
        }
    }
}
