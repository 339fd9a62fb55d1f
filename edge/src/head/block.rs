//! Products of blocks of rows with a matrix, for f32 and f64.
//!
//! Sums have a fixed order, so results have the same bytes on every CPU: [`dot`] and [`products`] add into lanes that
//! compilers keep in vector registers, the others add in order.

use core::ops::{Add, AddAssign, Mul};

/// Rows of a block.
pub(crate) const BLOCK: usize = 8;

/// A floating-point number.
pub(crate) trait Real: Copy + Default + From<i16> + Add<Output = Self> + Mul<Output = Self> + AddAssign {
    /// The nearest number.
    fn of(value: f64) -> Self;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
}

/// `a · b`, in 16 lanes.
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut lanes = [T::default(); 16];
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let mut sum = sum_of_lanes(lanes);
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        sum += a * b;
    }
    sum
}

/// The sum of a power of two of lanes, by halving.
fn sum_of_lanes<T: Real, const L: usize>(mut lanes: [T; L]) -> T {
    let mut half = L / 2;
    while half > 0 {
        for lane in 0..half {
            let other = lanes[lane + half];
            lanes[lane] += other;
        }
        half /= 2;
    }
    lanes[0]
}

/// `out_m[b] = weights_m · block_b`.
///
/// * `weights`: rows of `stride` values each
/// * `block`: `[BLOCK, rank]`
/// * `used`: values of each row that are multiplied; the others count as 0
/// * `L`: values in a vector register of 128 bits
pub(crate) fn products<T: Real, const L: usize>(
    (weights, stride): (&[T], usize),
    (block, rank): (&[T], usize),
    used: usize,
    out: &mut [[T; BLOCK]],
) {
    for (group, out) in out.chunks_mut(4).enumerate() {
        // A group of fewer than four repeats its last row.
        let weight = |m: usize| &weights[(4 * group + m.min(out.len() - 1)) * stride..][..used];
        let weights = [weight(0), weight(1), weight(2), weight(3)];
        for b in (0..BLOCK).step_by(2) {
            let rows = [&block[b * rank..][..used], &block[(b + 1) * rank..][..used]];
            let sums = tile::<T, L>(weights, rows);
            for (out, sums) in out.iter_mut().zip(sums) {
                [out[b], out[b + 1]] = sums;
            }
        }
    }
}

/// Products of four weights with two rows: eight sums of L lanes fill half of the vector registers.
fn tile<T: Real, const L: usize>(weights: [&[T]; 4], rows: [&[T]; 2]) -> [[T; 2]; 4] {
    let mut lanes = [[[T::default(); L]; 2]; 4];
    let [w0, w1, w2, w3] = weights.map(|weight| weight.as_chunks::<L>().0);
    let [z0, z1] = rows.map(|row| row.as_chunks::<L>().0);
    for (((((w0, w1), w2), w3), z0), z1) in w0.iter().zip(w1).zip(w2).zip(w3).zip(z0).zip(z1) {
        for (lanes, w) in lanes.iter_mut().zip([w0, w1, w2, w3]) {
            for (lanes, z) in lanes.iter_mut().zip([z0, z1]) {
                for l in 0..L {
                    lanes[l] += w[l] * z[l];
                }
            }
        }
    }
    let mut sums = sums_of_lanes(&lanes);
    for (sums, weight) in sums.iter_mut().zip(weights) {
        for (sum, row) in sums.iter_mut().zip(rows) {
            let rest = row.len() / L * L;
            for (&w, &z) in weight[rest..].iter().zip(&row[rest..]) {
                *sum += w * z;
            }
        }
    }
    sums
}

// Inlined, the sums make the compiler arrange the lanes for them instead of for the products.
#[inline(never)]
fn sums_of_lanes<T: Real, const L: usize>(lanes: &[[[T; L]; 2]; 4]) -> [[T; 2]; 4] {
    lanes.map(|lanes| lanes.map(sum_of_lanes))
}

/// `out += Σ_b factors[b] block_b`, for the first values of each row.
///
/// * `block`: `[BLOCK, rank]`
pub(crate) fn accumulate<T: Real>(factors: &[T; BLOCK], (block, rank): (&[T], usize), first: usize, out: &mut [T]) {
    let row = |b: usize| &block[b * rank + first..][..out.len()];
    let rows: [&[T]; BLOCK] = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
    for (d, out) in out.iter_mut().enumerate() {
        let mut sum = *out;
        for (row, &factor) in rows.iter().zip(factors) {
            sum += factor * row[d];
        }
        *out = sum;
    }
}

/// `out_m[b] = Σ_d weights_m[d] columns[d][b]`.
///
/// * `weights`: rows as long as `columns`
/// * `columns`: a block with its rows as columns, `[r]`
pub(crate) fn products_of_columns(weights: &[f64], columns: &[[f64; BLOCK]], out: &mut [[f64; BLOCK]]) {
    let rank = columns.len();
    for (out, weights) in out.chunks_mut(2).zip(weights.chunks(2 * rank)) {
        let (first, second) = (&weights[..rank], &weights[weights.len() - rank..]);
        let mut sums = [[0.0; BLOCK]; 2];
        for ((column, &a), &b) in columns.iter().zip(first).zip(second) {
            for (sum, &z) in sums[0].iter_mut().zip(column) {
                *sum += a * z;
            }
            for (sum, &z) in sums[1].iter_mut().zip(column) {
                *sum += b * z;
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sums)| *out = sums);
    }
}
