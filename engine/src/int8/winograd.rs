//! 3×3 convolutions of stride 1 by Winograd's F(4×4, 3×3) in exact integers: 36 products instead of 144 for sixteen outputs
//! of an input channel.
//!
//! For a 6×6 tile d of the input and a 3×3 filter g, the 4×4 outputs are `Y = Aᵀ ((G g Gᵀ) ⊙ (Bᵀ d B)) A` (Lavin and Gray,
//! arXiv:1509.09308), where
//!
//! ```text
//!      4  0 -5  0  1  0          6  0  0          1  1  1  1  1  0
//!      0 -4 -4  1  1  0         -4 -4 -4          0  1 -1  2 -2  0
//! Bᵀ = 0  4 -4 -1  1  0   24 G = -4  4 -4    Aᵀ = 0  1  1  4  4  0
//!      0 -2 -1  2  1  0          1  2  4          0  1 -1  8 -8  1
//!      0  2 -1 -2  1  0          1 -2  4
//!      0  4  0 -5  0  1          0  0 24
//! ```
//!
//! * G has fractions, so 24 G is taken on both sides, and the outputs are 576 times too large. The last row of 24 G is
//!   further divided by 4, to `0 0 6`, and the last column of Aᵀ multiplied by it: then rows have sums of at most 12, and a
//!   transformed weight is at most 144 × 127 = 18288 and fits 16 bits.
//! * A row of Bᵀ has a sum of at most 10, so a transformed value is at most 100 × 255 = 25500 and fits 16 bits too.
//! * Products and sums of 32 bits may wrap around: every step is linear, so the result is 576 Y modulo 2^32. As 576 is
//!   9 × 64, a multiplication by the inverse of 9 modulo 2^32 gives 64 Y modulo 2^32. That is 64 Y itself if |Y| is below
//!   2^25, which is checked for each channel, and an arithmetic shift by 6 gives Y.
//! * The bias enters at row 1, column 1 of the transformed sums, which Aᵀ takes once into each of the sixteen outputs.
//!
//! Outside the image the tile has what lies there in memory; it cancels out of all outputs inside, again exactly.

use super::filters::Filters;
use super::kernel::Geometry;
use super::plane::Plane;

/// Places of a transformed tile.
pub(super) const PLACES: usize = 36;
/// The place where the bias enters.
pub(super) const CENTRE: usize = 7;
/// 9 × this = 1 modulo 2^32.
pub(super) const INVERSE_OF_9: i32 = 954_437_177;

/// Output channels whose weights are transformed together.
pub(super) const TOGETHER: usize = 16;
/// One weight of each.
type Lanes = [i16; TOGETHER];

/// Whether a convolution has this form, with outputs that come back exactly and mostly full tiles.
///
/// * `largest`: largest magnitude of a stored value
pub(super) fn applies(at: &Geometry, filters: &Filters, largest: i64) -> bool {
    let tiles = at.to.height.div_ceil(4) * at.to.width.div_ceil(4);
    let is_full = 2 * at.to.height * at.to.width >= 16 * tiles;
    let is_exact = |(channel, requantise): (usize, &macula_edge::encoder::Requantise)| {
        let sum: i64 = filters.filter(channel).iter().map(|weight| i64::from(weight.unsigned_abs())).sum();
        let products = largest * sum;
        products + i64::from(requantise.bias).abs() < 1 << 25
    };
    at.side == 3 && at.stride == 1 && is_full && filters.requantise.iter().enumerate().all(is_exact)
}

/// The transformed weights of an input channel and of sixteen output channels from `first` on, by place; 0 for channels that
/// are missing.
pub(super) fn weights(filters: &Filters, first: usize, input: usize) -> [Lanes; PLACES] {
    let mut g = [[[0; TOGETHER]; 3]; 3];
    for (lane, channel) in (first..filters.channels().min(first + TOGETHER)).enumerate() {
        let filter = filters.filter(channel);
        for (tap, weights) in g.as_flattened_mut().iter_mut().zip(filter.chunks_exact(filter.len() / 9)) {
            tap[lane] = i16::from(weights[input]);
        }
    }
    let columns: [[Lanes; 6]; 3] =
        std::array::from_fn(|column| transformed([g[0][column], g[1][column], g[2][column]]));
    let mut made = [[0; TOGETHER]; PLACES];
    for (row, made) in made.as_chunks_mut::<6>().0.iter_mut().enumerate() {
        *made = transformed([columns[0][row], columns[1][row], columns[2][row]]);
    }
    made
}

/// 24 G of a column or row, with the last number divided by 4.
fn transformed([a, b, c]: [Lanes; 3]) -> [Lanes; 6] {
    let mut made = [[0; TOGETHER]; 6];
    for lane in 0..TOGETHER {
        let (a, b, c) = (a[lane], b[lane], c[lane]);
        let all = [6 * a, -4 * (a + b + c), -4 * (a - b + c), a + 2 * b + 4 * c, a - 2 * b + 4 * c, 6 * c];
        made.iter_mut().zip(all).for_each(|(made, one)| made[lane] = one);
    }
    made
}

/// 576 times the bias of each channel, modulo 2^32.
pub(super) fn bias(filters: &Filters) -> Vec<i32> {
    filters.requantise.iter().map(|of| of.bias.wrapping_mul(576)).collect()
}

/// Rows and columns of a tile that lie in the image.
pub(super) fn inside(plane: &Plane, tile: usize) -> [usize; 2] {
    let columns = plane.width.div_ceil(4);
    [plane.height - tile / columns * 4, plane.width - tile % columns * 4].map(|side| side.min(4))
}
