//! Ridge regression of several targets, solved exactly.
//!
//! M rows, D columns, C targets.

/// The upper triangle of a symmetric matrix of `dim` rows in a square array, and the factor it is replaced by.
///
/// Solves `A X = B` for a positive definite `A` by Cholesky's `A = Rᵀ R`.
///
/// * `matrix`: `[D, D]`, of which the upper half is read and overwritten
/// * `targets`: `[D, C]`, replaced by the solution
///
/// Returns `false` if the matrix is not positive definite; `targets` is then undefined.
#[must_use]
pub fn solve_positive_definite(matrix: &mut [f64], dim: usize, targets: &mut [f64]) -> bool {
    if dim == 0 {
        return true;
    }
    let count = targets.len() / dim;
    for i in 0..dim {
        let (row, below) = matrix[i * dim..].split_at_mut(dim);
        let pivot = row[i];
        if pivot.is_nan() || pivot <= 0.0 {
            return false;
        }
        let scale = pivot.sqrt().recip();
        row[i..].iter_mut().for_each(|value| *value *= scale);
        for (j, other) in (i + 1..dim).zip(below.chunks_exact_mut(dim)) {
            let factor = row[j];
            other[j..].iter_mut().zip(&row[j..]).for_each(|(value, &r)| *value -= factor * r);
        }
    }
    // Rᵀ Y = B, from the first row on.
    for i in 0..dim {
        let (row, rest) = targets[i * count..].split_at_mut(count);
        let pivot = matrix[i * dim + i];
        row.iter_mut().for_each(|value| *value /= pivot);
        for (j, other) in (i + 1..dim).zip(rest.chunks_exact_mut(count)) {
            let factor = matrix[i * dim + j];
            other.iter_mut().zip(&*row).for_each(|(value, &y)| *value -= factor * y);
        }
    }
    // R X = Y, from the last row on.
    for i in (0..dim).rev() {
        let (before, row) = targets.split_at_mut(i * count);
        let pivot = matrix[i * dim + i];
        row[..count].iter_mut().for_each(|value| *value /= pivot);
        for (j, other) in before.chunks_exact_mut(count).enumerate() {
            let factor = matrix[j * dim + i];
            other.iter_mut().zip(&row[..count]).for_each(|(value, &x)| *value -= factor * x);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn the_solution_satisfies_the_equations() {
        let mut rng = Rng::for_purpose(2, "test");
        let (dim, count) = (13, 3);
        let factor: Vec<f64> = (0..dim * dim).map(|_| f64::from(rng.normal())).collect();
        let mut matrix = vec![0.0; dim * dim];
        for i in 0..dim {
            for j in 0..dim {
                matrix[i * dim + j] = (0..dim).map(|k| factor[k * dim + i] * factor[k * dim + j]).sum::<f64>();
            }
            matrix[i * dim + i] += 0.1;
        }
        let targets: Vec<f64> = (0..dim * count).map(|_| f64::from(rng.normal())).collect();
        let (mut used, mut found) = (matrix.clone(), targets.clone());
        assert!(solve_positive_definite(&mut used, dim, &mut found));
        for i in 0..dim {
            for c in 0..count {
                let product: f64 = (0..dim).map(|j| matrix[i * dim + j] * found[j * count + c]).sum();
                assert!((product - targets[i * count + c]).abs() < 1e-9, "{i} {c}");
            }
        }
        matrix[5 * dim + 5] = -1.0;
        assert!(!solve_positive_definite(&mut matrix, dim, &mut found), "not positive definite");
    }
}
