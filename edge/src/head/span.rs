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

use super::cholesky::dot;
use crate::feature::UNIT;
use crate::support_set::Supports;

/// A squared pivot below this fraction of the squared length is rounding error: the support depends on earlier ones.
const PIVOT_MIN: f64 = 1e-11;

/// How coordinates are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// `z = √D x`, for at least as many supports as dimensions.
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
    /// `[n, r]`.
    pub rows: &'w [f64],
}

impl<'w> Span<'w> {
    /// Scratch, in values, at most.
    pub const fn scratch_len(dim: usize, supports_max: usize) -> usize {
        supports_max * if supports_max < dim { supports_max } else { dim }
    }

    /// Coordinates of `supports`, and the rest of the scratch.
    pub fn new(supports: Supports<'_>, scratch: &'w mut [f64]) -> (Self, &'w mut [f64]) {
        let (dim, count) = (supports.dim, supports.len());
        let rows = &mut scratch[..count * dim.min(count)];
        if count < dim {
            write_gram_rows(supports, rows);
        } else {
            for (row, (_, feature)) in rows.chunks_exact_mut(dim).zip(supports.iter()) {
                write_scaled(feature, row);
            }
        }
        Self::over(dim, count, scratch)
    }

    /// Coordinates of `count` supports that [`Self::new`] left in this scratch.
    pub fn over(dim: usize, count: usize, scratch: &'w mut [f64]) -> (Self, &'w mut [f64]) {
        let (basis, rank) = if count < dim { (Basis::Gram, count) } else { (Basis::Components, dim) };
        let (rows, rest) = scratch.split_at_mut(count * rank);
        (Self { basis, dim, rank, rows }, rest)
    }

    /// Coordinates of support `index`, `[r]`.
    pub fn row(&self, index: usize) -> &'w [f64] {
        &self.rows[index * self.rank..][..self.rank]
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
            let row = self.row(index);
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
        let unit = f64::from(UNIT);
        match self.basis {
            Basis::Components => {
                let scale = libm::sqrt(self.dim as f64) / unit;
                out.iter_mut().zip(&*weight).for_each(|(out, w)| *out = w * scale);
            }
            Basis::Gram => self.write_weight_of_gram(supports, weight, out),
        }
    }

    /// With `Z = L`, the Cholesky factor of the Gram matrix, the basis is `Xᵀ L⁻ᵀ`: solves with `Lᵀ`, then sums supports.
    fn write_weight_of_gram(&self, supports: Supports<'_>, weight: &mut [f64], out: &mut [f64]) {
        let scale = self.dim as f64 / (f64::from(UNIT) * f64::from(UNIT));
        for index in (0..self.rank).rev() {
            let row = self.row(index);
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

fn write_scaled(feature: &[i16], row: &mut [f64]) {
    let scale = libm::sqrt(feature.len() as f64) / f64::from(UNIT);
    row.iter_mut().zip(feature).for_each(|(z, &x)| *z = f64::from(x) * scale);
}

/// `D x · y` of unit features. The integer sum is exact, at most `2¹² 2¹⁵ 2¹⁵`.
fn exact_dot(x: &[i16], y: &[i16], dim: usize) -> f64 {
    let mut sum = 0i64;
    for (&x, &y) in x.iter().zip(y) {
        sum += i64::from(i32::from(x) * i32::from(y));
    }
    sum as f64 * dim as f64 / (f64::from(UNIT) * f64::from(UNIT))
}

/// Writes the lower Cholesky factor of `D X Xᵀ`, `[n, n]`. A support that depends on earlier ones has pivot 0.
fn write_gram_rows(supports: Supports<'_>, rows: &mut [f64]) {
    let (dim, count) = (supports.dim, supports.len());
    for i in 0..count {
        let (above, below) = rows.split_at_mut(i * count);
        let row = &mut below[..count];
        row.fill(0.0);
        for j in 0..i {
            let other = &above[j * count..][..count];
            let along = exact_dot(supports.feature(i), supports.feature(j), dim) - dot(&row[..j], &other[..j]);
            row[j] = if other[j] > 0.0 { along / other[j] } else { 0.0 };
        }
        let square = exact_dot(supports.feature(i), supports.feature(i), dim);
        let pivot = square - dot(&row[..i], &row[..i]);
        row[i] = if pivot > PIVOT_MIN * square { libm::sqrt(pivot) } else { 0.0 };
    }
}
