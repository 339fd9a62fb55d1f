//! Eigenvalues and eigenvectors of symmetric matrices.
//!
//! Householder reflections make the matrix tridiagonal, implicit QL makes it diagonal (Golub and Van Loan, "Matrix
//! Computations", sections 8.3.1 and 8.3.3; the QL step is `tql2` of EISPACK). For 960 rows this takes two seconds.
//!
//! The order of operations is fixed, so the same matrix gives the same figures on every machine. No library is used: nalgebra
//! adds 15 crates and faer 49 for this one function, and both may sum in another order on another CPU.

/// Most QL steps for one eigenvalue; two or three suffice.
const STEPS_MAX: usize = 60;

/// Eigenvalues and eigenvectors, largest eigenvalue first.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigen {
    /// Descending.
    pub values: Vec<f64>,
    /// `[side, side]`: row i is the unit eigenvector of value i. Its largest component (in absolute value, the first of equals) is
    /// positive.
    pub vectors: Vec<f64>,
}

/// The eigenvalues and eigenvectors of the symmetric `matrix` `[side, side]`.
///
/// A matrix with a value that is not finite has eigenvalues that are not finite.
pub fn eigen(mut matrix: Vec<f64>, side: usize) -> Eigen {
    if side == 0 {
        return Eigen { values: Vec::new(), vectors: Vec::new() };
    }
    let mut vectors = identity(side);
    let (mut diagonal, mut beside) = tridiagonal(&mut matrix, side, &mut vectors);
    implicit_ql(&mut diagonal, &mut beside, &mut vectors);
    let mut order: Vec<usize> = (0..side).collect();
    // Stable, so that equal eigenvalues keep their order.
    order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    Eigen {
        values: order.iter().map(|&at| diagonal[at]).collect(),
        vectors: order.iter().flat_map(|&at| signed(&vectors[at * side..][..side])).collect(),
    }
}

fn identity(side: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; side * side];
    matrix.iter_mut().step_by(side + 1).for_each(|value| *value = 1.0);
    matrix
}

/// `vector` or its negative, so that the largest component is positive.
fn signed(vector: &[f64]) -> Vec<f64> {
    let largest = vector.iter().fold(0.0f64, |best, &value| if value.abs() > best.abs() { value } else { best });
    let sign = if largest < 0.0 { -1.0 } else { 1.0 };
    vector.iter().map(|value| sign * value).collect()
}

/// Diagonal and values beside it (`[side]`, the first unused) of `Qᵀ matrix Q`; `vectors`, the identity before, becomes `Qᵀ`.
///
/// Column by column a reflection `I - v vᵀ` with `|v|² = 2` zeroes what is below the subdiagonal.
fn tridiagonal(matrix: &mut [f64], side: usize, vectors: &mut [f64]) -> (Vec<f64>, Vec<f64>) {
    let mut reflections: Vec<Vec<f64>> = Vec::new();
    let mut beside = vec![0.0; side];
    for column in 0..side.saturating_sub(1) {
        let first = column + 1;
        let mut v: Vec<f64> = matrix[column * side..][first..side].to_vec();
        // Scaled, so that squares neither overflow nor vanish.
        let scale = v.iter().fold(0.0f64, |max, value| max.max(value.abs()));
        let length = scale * v.iter().map(|value| (value / scale).powi(2)).sum::<f64>().sqrt();
        let outside = v[1..].iter().any(|&value| value != 0.0);
        if !outside || scale == 0.0 {
            beside[first] = v[0];
            reflections.push(Vec::new());
            continue;
        }
        // Away from v[0], so that nothing cancels.
        let image = if v[0] > 0.0 { -length } else { length };
        beside[first] = image;
        v[0] -= image;
        let norm = (length * (length + (v[0] + image).abs())).sqrt();
        v.iter_mut().for_each(|value| *value /= norm);
        reflect_both_sides(matrix, side, first, &v);
        reflections.push(v);
    }
    let diagonal = (0..side).map(|at| matrix[at * side + at]).collect();
    // Backward, each reflection changes only the rows and columns from its own on.
    for (column, v) in reflections.iter().enumerate().rev().filter(|(_, v)| !v.is_empty()) {
        let first = column + 1;
        // Rows of Qᵀ: right-multiplied by the reflection.
        for row in vectors.chunks_exact_mut(side).skip(first) {
            let row = &mut row[first..];
            let product = dot(row, v);
            row.iter_mut().zip(v).for_each(|(value, v)| *value -= product * v);
        }
    }
    (diagonal, beside)
}

/// `H A H` with `H = I - v vᵀ` for the part of `matrix` from row and column `first` on: `A - v wᵀ - w vᵀ` with
/// `p = A v`, `w = p - (pᵀ v / 2) v`.
fn reflect_both_sides(matrix: &mut [f64], side: usize, first: usize, v: &[f64]) {
    let mut w = vec![0.0; v.len()];
    for (row, &scale) in matrix.chunks_exact(side).skip(first).zip(v) {
        w.iter_mut().zip(&row[first..]).for_each(|(sum, value)| *sum += scale * value);
    }
    let half = dot(&w, v) / 2.0;
    w.iter_mut().zip(v).for_each(|(p, v)| *p -= half * v);
    for ((row, &v_row), &w_row) in matrix.chunks_exact_mut(side).skip(first).zip(v).zip(&w) {
        let entries = row[first..].iter_mut().zip(v).zip(&w);
        entries.for_each(|((value, v), w)| *value -= v_row * w + w_row * v);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Four sums in fixed order, so that vectors of the CPU are used.
    let mut sums = [0.0; 4];
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    for (a, b) in a4.iter().zip(b4) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

/// Makes the tridiagonal matrix diagonal, and turns the rows of `vectors` with it.
///
/// * `beside`: `beside[i]` stands beside `diagonal[i - 1]` and `diagonal[i]`
fn implicit_ql(diagonal: &mut [f64], beside: &mut [f64], vectors: &mut [f64]) {
    let side = diagonal.len();
    beside.rotate_left(1);
    beside[side - 1] = 0.0;
    for start in 0..side {
        for _ in 0..STEPS_MAX {
            // The first negligible value ends the block that starts here.
            let negligible = |&at: &usize| {
                let scale = diagonal[at].abs() + diagonal[at + 1].abs();
                // NaN ends the iteration too.
                beside[at].is_nan() || scale.is_nan() || beside[at].abs() <= f64::EPSILON * scale
            };
            let end = (start..side - 1).find(negligible).unwrap_or(side - 1);
            if end == start {
                break;
            }
            ql_step(diagonal, beside, vectors, start, end);
        }
    }
}

/// One step with Wilkinson's shift on the block `start..=end`: plane rotations from its end to its start.
fn ql_step(diagonal: &mut [f64], beside: &mut [f64], vectors: &mut [f64], start: usize, end: usize) {
    let side = diagonal.len();
    let half = (diagonal[start + 1] - diagonal[start]) / (2.0 * beside[start]);
    let root = (half * half + 1.0).sqrt();
    let shift = beside[start] / (half + if half < 0.0 { -root } else { root });
    let mut g = diagonal[end] - diagonal[start] + shift;
    let (mut sine, mut cosine, mut carried) = (1.0, 1.0, 0.0);
    for at in (start..end).rev() {
        let f = sine * beside[at];
        let b = cosine * beside[at];
        let r = (f * f + g * g).sqrt();
        beside[at + 1] = r;
        if r == 0.0 {
            // The block has split.
            diagonal[at + 1] -= carried;
            beside[end] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = diagonal[at + 1] - carried;
        let turned = (diagonal[at] - g) * sine + 2.0 * cosine * b;
        carried = sine * turned;
        diagonal[at + 1] = g + carried;
        g = cosine * turned - b;
        let (upper, lower) = vectors[at * side..][..2 * side].split_at_mut(side);
        for (x, y) in upper.iter_mut().zip(lower) {
            (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
        }
    }
    diagonal[start] -= carried;
    beside[start] = g;
    beside[end] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn random_symmetric(seed: u64, side: usize) -> Vec<f64> {
        let mut rng = Rng::for_purpose(seed, "test");
        let mut matrix = vec![0.0; side * side];
        for row in 0..side {
            for column in 0..=row {
                let value = f64::from(rng.normal());
                (matrix[row * side + column], matrix[column * side + row]) = (value, value);
            }
        }
        matrix
    }

    /// `A v = λ v` and unit length, for matrices of all sizes, with repeated and zero eigenvalues.
    fn check(matrix: &[f64], side: usize) {
        let found = eigen(matrix.to_vec(), side);
        let scale = 1e-12 * (1.0 + matrix.iter().map(|value| value * value).sum::<f64>().sqrt());
        assert!(found.values.is_sorted_by(|a, b| a >= b));
        for (row, value) in found.vectors.chunks_exact(side).zip(&found.values) {
            for (at, component) in row.iter().enumerate() {
                let product: f64 = matrix[at * side..][..side].iter().zip(row).map(|(a, v)| a * v).sum();
                assert!((product - value * component).abs() < scale, "{side}: {product} is not {value} × {component}");
            }
            assert!(row.iter().copied().fold(0.0f64, |a, b| if b.abs() > a.abs() { b } else { a }) > 0.0);
        }
        for (i, a) in found.vectors.chunks_exact(side).enumerate() {
            for (j, b) in found.vectors.chunks_exact(side).enumerate() {
                let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!((product - if i == j { 1.0 } else { 0.0 }).abs() < 1e-12, "{side}: vectors {i} and {j}");
            }
        }
    }

    #[test]
    fn eigenvectors_satisfy_their_equation() {
        for side in [1, 2, 3, 4, 7, 24, 65] {
            check(&random_symmetric(side as u64, side), side);
        }
    }

    #[test]
    fn repeated_zero_and_distant_eigenvalues_are_found() {
        check(&[0.0; 25], 5);
        check(&identity(6), 6);
        // Rank 1.
        check(&(0..49).map(|at| ((at / 7) * (at % 7)) as f64).collect::<Vec<_>>(), 7);
        let mut block = random_symmetric(3, 8);
        (0..8).for_each(|at| (block[at], block[at * 8]) = (0.0, 0.0));
        block[0] = 1e6;
        check(&block, 8);
        assert_eq!(eigen(vec![2.0, 0.0, 0.0, 5.0], 2).values, [5.0, 2.0]);
        assert_eq!(eigen(vec![f64::NAN; 9], 3).values.len(), 3, "it ends");
    }

    /// `A v = λ v` gives `tr A = Σ λ`, `tr A² = Σ λ²`.
    #[test]
    fn eigenvalues_have_the_traces_of_the_matrix() {
        let side = 40;
        let a = random_symmetric(2, side);
        let found = eigen(a.clone(), side).values;
        let trace: f64 = (0..side).map(|at| a[at * side + at]).sum();
        let squares: f64 = a.iter().map(|value| value * value).sum();
        assert!((found.iter().sum::<f64>() - trace).abs() < 1e-10);
        assert!((found.iter().map(|value| value * value).sum::<f64>() - squares).abs() < 1e-9);
    }
}
