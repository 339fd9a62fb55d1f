//! The weights of Winograd's convolutions, `G g Gᵀ` of every pair of channels (`winograd.rs`).
//!
//! The sums are taken in f64, so that only their results are rounded.

use bytemuck::Zeroable;

use super::pieces::PATCH;
use super::tile::Weights;
use super::vector::{Vector, Work};

/// Positions of a transformed patch.
pub(super) const POSITIONS: usize = PATCH * PATCH;

/// Output channels that are transformed together.
const TOGETHER: usize = 8;

/// One number of each.
type Lanes = [f64; TOGETHER];

/// The transform of the weights of a convolution, by position.
///
/// * `weight`: `[O, C, 3, 3]`
/// * `channels`: C, O
/// * `stored`: the same as stored
pub(super) fn transform<V: Vector>(
    weight: &[f32],
    channels: [usize; 2],
    stored: [usize; 2],
) -> Vec<Weights<V::Element>> {
    let mut to: Vec<_> = (0..POSITIONS).map(|_| Weights::empty::<V>(stored[0], stored[1])).collect();
    // SAFETY: plans are made for sets of this processor only (`FloatNetwork::new`).
    unsafe { V::vectorise(Transform::<V> { weight, channels, stored, to: &mut to }) };
    to
}

/// The work of [`transform`].
struct Transform<'a, V: Vector> {
    weight: &'a [f32],
    channels: [usize; 2],
    stored: [usize; 2],
    to: &'a mut [Weights<V::Element>],
}

impl<V: Vector> Work for Transform<'_, V> {
    #[inline(always)]
    unsafe fn run(self) {
        let Self { weight, channels: [inputs, outputs], stored, to } = self;
        let width = to[0].block * V::LANES;
        // A row of the matrix of each position.
        let mut rows = vec![V::Element::zeroed(); POSITIONS * width];
        for first in (0..stored[1]).step_by(width) {
            for input in 0..stored[0] {
                for from in (0..width).step_by(TOGETHER) {
                    let mut filters = [[[0.0; TOGETHER]; 3]; 3];
                    let there = if input < inputs { outputs.saturating_sub(first + from) } else { 0 };
                    for lane in 0..TOGETHER.min(there) {
                        let filter = &weight[((first + from + lane) * inputs + input) * 9..][..9];
                        for (tap, &weight) in filters.as_flattened_mut().iter_mut().zip(filter) {
                            tap[lane] = f64::from(weight);
                        }
                    }
                    let transformed = both_ways(filters);
                    for (row, lanes) in rows.chunks_exact_mut(width).zip(transformed.as_flattened()) {
                        row[from..].iter_mut().zip(lanes).for_each(|(to, &value)| *to = V::element(value as f32));
                    }
                }
                for (weights, row) in to.iter_mut().zip(rows.chunks_exact(width)) {
                    weights.elements.extend_from_slice(row);
                }
            }
        }
    }
}

/// `G g Gᵀ`.
#[inline(always)]
fn both_ways(g: [[Lanes; 3]; 3]) -> [[Lanes; PATCH]; PATCH] {
    let columns: [[Lanes; PATCH]; 3] =
        std::array::from_fn(|column| one_way([g[0][column], g[1][column], g[2][column]]));
    std::array::from_fn(|row| one_way([columns[0][row], columns[1][row], columns[2][row]]))
}

/// `G g`, where
///
/// ```text
///       6  0  0
///      -4 -4 -4
/// 24 G = -4  4 -4
///       1  2  4
///       1 -2  4
///       0  0 24
/// ```
#[inline(always)]
fn one_way([first, second, third]: [Lanes; 3]) -> [Lanes; PATCH] {
    let of = |number: &dyn Fn(usize) -> f64| -> Lanes { std::array::from_fn(number) };
    let near = of(&|at| (first[at] + third[at]) * (-1.0 / 6.0));
    let near_middle = of(&|at| second[at] * (-1.0 / 6.0));
    let far = of(&|at| first[at] * (1.0 / 24.0) + third[at] * (1.0 / 6.0));
    let far_middle = of(&|at| second[at] * (1.0 / 12.0));
    [
        of(&|at| first[at] * 0.25),
        of(&|at| near[at] + near_middle[at]),
        of(&|at| near[at] - near_middle[at]),
        of(&|at| far[at] + far_middle[at]),
        of(&|at| far[at] - far_middle[at]),
        third,
    ]
}
