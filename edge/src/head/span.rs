//! Coordinates of supports in the space that they span, where heads are solved.
//!
//! n supports, D dimensions, `r = min(n, D)`.
//!
//! The weights of a head that shrinks to the identity lie in the span of its supports. With fewer supports than
//! dimensions, the rows of the Cholesky factor of the Gram matrix `X Xᵀ` are coordinates in an orthonormal basis of that
//! span, and every later step costs powers of n instead of powers of D. The Gram matrix is computed in integers, exactly.
//!
//! Coordinates are scaled so that a feature of length 1 has length `√D`. The mean square of a component is then 1, and
//! the covariance `I / D` of a feature without preferred direction becomes the identity.

use super::block::{BLOCK, Real, dot};
use super::cholesky::triangle_len;
use crate::feature::UNIT;
use crate::support_set::Supports;

/// A squared pivot below this fraction of the squared length is rounding error: the support depends on earlier ones.
const PIVOT_MIN: f64 = 1e-11;

/// How coordinates are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// `z = √D x`, for at least as many supports as dimensions. They are computed where they are needed.
    Components,
    /// Rows of the Cholesky factor of the Gram matrix.
    Gram,
}

/// Coordinates of supports.
#[derive(Debug)]
pub(crate) struct Span<'w> {
    basis: Basis,
    dim: usize,
    /// Length r of a row.
    pub rank: usize,
    /// A lower triangle, row by row, if the basis is that of the Gram matrix: before row i lies the triangle of i rows.
    rows: &'w [f64],
}

impl<'w> Span<'w> {
    /// Scratch, in values, at most.
    pub const fn scratch_len(dim: usize, supports_max: usize) -> usize {
        triangle_len(if supports_max < dim { supports_max } else { dim - 1 })
    }

    /// Coordinates of `supports`, and the rest of the scratch.
    pub fn new(supports: Supports<'_>, scratch: &'w mut [f64]) -> (Self, &'w mut [f64]) {
        let (dim, count) = (supports.dim, supports.len());
        if count < dim {
            write_gram_rows(supports, &mut scratch[..triangle_len(count)]);
        }
        Self::over(dim, count, scratch)
    }

    /// Coordinates of `count` supports that [`Self::new`] left in this scratch.
    pub fn over(dim: usize, count: usize, scratch: &'w mut [f64]) -> (Self, &'w mut [f64]) {
        let (basis, rank) = if count < dim { (Basis::Gram, count) } else { (Basis::Components, dim) };
        let (rows, rest) = scratch.split_at_mut(if basis == Basis::Gram { triangle_len(count) } else { 0 });
        (Self { basis, dim, rank, rows }, rest)
    }

    /// Coordinates of support `index` that may differ from 0, for the basis of the Gram matrix.
    fn gram_row(&self, index: usize) -> &'w [f64] {
        &self.rows[triangle_len(index)..][..=index]
    }

    /// Writes the coordinates of support `index`, `[r]`.
    pub fn write_row<T: Real>(&self, supports: Supports<'_>, index: usize, out: &mut [T]) {
        match self.basis {
            Basis::Components => write_scaled(supports.feature(index), out),
            Basis::Gram => {
                let (inside, outside) = out.split_at_mut(index + 1);
                inside.iter_mut().zip(self.gram_row(index)).for_each(|(out, &z)| *out = T::of(z));
                outside.fill(T::default());
            }
        }
    }

    /// Writes the coordinates of supports from `first` on, `[BLOCK, r]`; rows without a support are 0. Returns how many
    /// values of each row may differ from 0.
    pub fn write_block<T: Real>(&self, supports: Supports<'_>, first: usize, block: &mut [T]) -> usize {
        for (index, row) in (first..first + BLOCK).zip(block.chunks_exact_mut(self.rank)) {
            if index < supports.len() {
                self.write_row(supports, index, row);
            } else {
                row.fill(T::default());
            }
        }
        match self.basis {
            Basis::Components => self.rank,
            Basis::Gram => self.rank.min(first + BLOCK),
        }
    }

    /// `weight · z` of support `index`.
    pub fn product(&self, supports: Supports<'_>, index: usize, weight: &[f64]) -> f64 {
        match self.basis {
            Basis::Components => {
                let mut sum = 0.0;
                for (&w, &x) in weight.iter().zip(supports.feature(index)) {
                    sum += w * f64::from(x);
                }
                sum * scale(self.dim)
            }
            Basis::Gram => dot(&weight[..=index], self.gram_row(index)),
        }
    }

    /// Writes the coordinates of a feature and returns the squared length of its part outside the span.
    ///
    /// * `feature`: `[D]`
    /// * `coordinates`: `[r]`
    pub fn project(&self, supports: Supports<'_>, feature: &[i16], coordinates: &mut [f64]) -> f64 {
        match self.basis {
            Basis::Components => write_scaled(feature, coordinates),
            Basis::Gram => return self.project_on_gram(supports, feature, coordinates),
        }
        0.0
    }

    fn project_on_gram(&self, supports: Supports<'_>, feature: &[i16], coordinates: &mut [f64]) -> f64 {
        let mut outside = exact_dot(feature, feature, self.dim);
        for index in 0..self.rank {
            let row = self.gram_row(index);
            let pivot = row[index];
            let inside = dot(&row[..index], &coordinates[..index]);
            let along = exact_dot(supports.feature(index), feature, self.dim) - inside;
            coordinates[index] = if pivot > 0.0 { along / pivot } else { 0.0 };
            outside -= coordinates[index] * coordinates[index];
        }
        if outside > 0.0 { outside } else { 0.0 }
    }

    /// Converts weights for coordinates to weights for features: `weight · z(x) = out · x` for every feature `x`.
    ///
    /// * `weight`: `[r]`, overwritten
    /// * `out`: `[D]`
    pub fn write_weight(&self, supports: Supports<'_>, weight: &mut [f64], out: &mut [f64]) {
        match self.basis {
            Basis::Components => {
                let scale = scale(self.dim);
                out.iter_mut().zip(&*weight).for_each(|(out, w)| *out = w * scale);
            }
            Basis::Gram => self.write_weight_of_gram(supports, weight, out),
        }
    }

    /// With `Z = L`, the Cholesky factor of the Gram matrix, the basis is `Xᵀ L⁻ᵀ`: solves with `Lᵀ`, then sums supports.
    fn write_weight_of_gram(&self, supports: Supports<'_>, weight: &mut [f64], out: &mut [f64]) {
        let scale = self.dim as f64 / (f64::from(UNIT) * f64::from(UNIT));
        for index in (0..self.rank).rev() {
            let row = self.gram_row(index);
            weight[index] = if row[index] > 0.0 { weight[index] / row[index] } else { 0.0 };
            let share = weight[index];
            weight[..index].iter_mut().zip(row).for_each(|(w, l)| *w -= share * l);
        }
        out.fill(0.0);
        for (&share, (_, feature)) in weight.iter().zip(supports.iter()) {
            out.iter_mut().zip(feature).for_each(|(out, &x)| *out += share * scale * f64::from(x));
        }
    }
}

fn scale(dim: usize) -> f64 {
    libm::sqrt(dim as f64) / f64::from(UNIT)
}

fn write_scaled<T: Real>(feature: &[i16], row: &mut [T]) {
    let scale = T::of(scale(feature.len()));
    row.iter_mut().zip(feature).for_each(|(z, &x)| *z = T::from(x) * scale);
}

/// `D x · y` of unit features. The integer sum is exact, at most `2¹² 2¹⁵ 2¹⁵`.
fn exact_dot(x: &[i16], y: &[i16], dim: usize) -> f64 {
    let mut sum = 0i64;
    for (&x, &y) in x.iter().zip(y) {
        sum += i64::from(i32::from(x) * i32::from(y));
    }
    sum as f64 * dim as f64 / (f64::from(UNIT) * f64::from(UNIT))
}

/// The largest squared length of a feature.
fn exact_square_max(supports: Supports<'_>) -> i64 {
    let square = |feature: &[i16]| feature.iter().map(|&x| i64::from(i32::from(x) * i32::from(x))).sum();
    supports.iter().map(|(_, feature)| square(feature)).max().unwrap_or(0)
}

/// [`exact_dot`] of features with squared lengths below 2³¹. So is the sum, by Cauchy and Schwarz, and 32 bits that wrap hold
/// it exactly.
fn short_dot(x: &[i16], y: &[i16], dim: usize) -> f64 {
    let mut sum = 0i32;
    for (&x, &y) in x.iter().zip(y) {
        sum = sum.wrapping_add(i32::from(x) * i32::from(y));
    }
    f64::from(sum) * dim as f64 / (f64::from(UNIT) * f64::from(UNIT))
}

/// Writes the lower Cholesky factor of `D X Xᵀ`, row by row. A support that depends on earlier ones has pivot 0.
fn write_gram_rows(supports: Supports<'_>, rows: &mut [f64]) {
    let dim = supports.dim;
    let square_max = exact_square_max(supports);
    let dot_of_features = if square_max < 1 << 31 { short_dot } else { exact_dot };
    for i in 0..supports.len() {
        let (above, below) = rows.split_at_mut(triangle_len(i));
        let row = &mut below[..=i];
        for j in 0..i {
            let other = &above[triangle_len(j)..][..=j];
            let along = dot_of_features(supports.feature(i), supports.feature(j), dim) - dot(&row[..j], &other[..j]);
            row[j] = if other[j] > 0.0 { along / other[j] } else { 0.0 };
        }
        let square = dot_of_features(supports.feature(i), supports.feature(i), dim);
        let pivot = square - dot(&row[..i], &row[..i]);
        row[i] = if pivot > PIVOT_MIN * square { libm::sqrt(pivot) } else { 0.0 };
    }
}
