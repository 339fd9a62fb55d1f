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
//! * A row of Bᵀ has a sum of at most 10, so a transformed value is at most 100 × 128 = 12800 and fits 16 bits too.
//! * Products and sums of 32 bits may wrap around: every step is linear, so the result is 576 Y modulo 2^32. As 576 is
//!   9 × 64, a multiplication by the inverse of 9 modulo 2^32 gives 64 Y modulo 2^32. That is 64 Y itself if |Y| is below
//!   2^25, which is checked for each channel, and an arithmetic shift by 6 gives Y.
//! * The bias enters at row 1, column 1 of the transformed sums, which Aᵀ takes once into each of the sixteen outputs.
//!
//! Outside the image the tile has what lies there in memory; it cancels out of all outputs inside, again exactly.

mod input; // Bᵀ d B
mod product; // sums of products over the input channels
mod output; // Aᵀ m A, and requantisation

use bytemuck::cast_slice_mut;

use super::requantise::Four;
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};

/// Tiles whose products are computed together.
const QUAD: usize = 4;
/// Quads that are transformed at once: the weights are read once for so many.
const QUADS: usize = 2;
/// Places of a transformed tile.
const PLACES: usize = 36;
/// The place where the bias enters.
const CENTRE: usize = 7;
/// 9 × this = 1 modulo 2^32.
const INVERSE_OF_9: i32 = 954_437_177;

/// 24 G, with the last row divided by 4.
const G: [[i32; 3]; 6] = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 6]];

/// A 3×3 convolution of stride 1.
pub(super) struct Winograd {
    at: Geometry,
    /// `[36, O / 16, C / 8, 8, 16]`, of which a last block may have eight channels.
    weights: Vec<i16>,
    /// 576 times the bias, modulo 2^32.
    bias: Vec<i32>,
    requantise: Vec<Four>,
    /// Where each tile reads and is written, from the first.
    reads: Vec<u32>,
    writes: Vec<u32>,
}

impl Winograd {
    /// Transforms the weights. `None` if the layer is another kind of convolution, has too few pixels or channels, or the
    /// sums of a channel may be too large.
    pub fn new(at: Geometry, filters: &Filters) -> Option<Self> {
        let inputs = at.from.channels;
        let tiles = at.to.height.div_ceil(4) * at.to.width.div_ceil(4);
        let is_full = 2 * at.to.height * at.to.width >= 16 * tiles;
        if at.side != 3 || at.stride != 1 || !inputs.is_multiple_of(8) || !is_full {
            return None;
        }
        for (channel, requantise) in filters.requantise.iter().enumerate() {
            let products: i64 = filters.filter(channel).iter().map(|&weight| 128 * i64::from(weight).abs()).sum();
            if products + i64::from(requantise.bias).abs() >= 1 << 25 {
                return None;
            }
        }
        let channels = filters.channels();
        let mut weights = vec![0; PLACES * channels * inputs];
        for (channel, input) in (0..channels).flat_map(|channel| (0..inputs).map(move |input| (channel, input))) {
            let filter = filters.filter(channel);
            let block = channel / 16 * 16;
            let block_len = 16.min(channels - block);
            for place in 0..PLACES {
                let (row, column) = (G[place / 6], G[place % 6]);
                let product = |tap: usize| row[tap / 3] * column[tap % 3] * i32::from(filter[tap * inputs + input]);
                let weight: i32 = (0..9).map(product).sum();
                let at = (place * channels + block) * inputs + input * block_len + channel - block;
                // At most 18288, or 18432 with a weight of -128.
                weights[at] = weight as i16;
            }
        }
        let offsets = |plane: crate::int8::plane::Plane| {
            let rows = (0..plane.height).step_by(4);
            let columns = move |row| (0..plane.width).step_by(4).map(move |column| (row, column));
            let offset = |(row, column)| (row * plane.pitch() + column * plane.channels) as u32;
            rows.flat_map(columns).map(offset).collect::<Vec<u32>>()
        };
        Some(Self {
            weights,
            bias: filters.requantise.iter().map(|of| of.bias.wrapping_mul(576)).collect(),
            requantise: Four::pack(&filters.requantise),
            reads: offsets(at.from),
            writes: offsets(at.to),
            at,
        })
    }

    /// i16 of the transformed input of a batch of tiles, `[QUADS, C / 8, 36, 4, 8]`.
    fn input_len(&self) -> usize {
        QUADS * QUAD * PLACES * self.at.from.channels
    }

    /// i32 of its products, `[4 QUADS, O / 4, 36, 4]`.
    fn products_len(&self) -> usize {
        QUADS * QUAD * PLACES * self.at.to.channels
    }
}

impl Kernel for Winograd {
    fn run(&self, arena: &mut [u8], scratch: &mut [u8]) {
        let Geometry { from, to, .. } = self.at;
        let (inputs, products) = scratch.split_at_mut(2 * self.input_len());
        let inputs = &mut cast_slice_mut::<u8, i16>(inputs)[..];
        let products = &mut cast_slice_mut::<u8, i32>(&mut products[..4 * self.products_len()])[..];
        let first = self.at.first(0, 0);
        let columns = to.width.div_ceil(4);
        let arena = arena.as_mut_ptr();
        let batches = self.reads.chunks(QUADS * QUAD).zip(self.writes.chunks(QUADS * QUAD));
        for (batch, (reads, writes)) in batches.enumerate() {
            for (tile, &at) in reads.iter().enumerate() {
                let blocks =
                    &mut inputs[tile / QUAD * QUAD * PLACES * from.channels..][..QUAD * PLACES * from.channels];
                // SAFETY: the window of the tile lies in the arena or the margin of four rows behind it.
                unsafe { input::transform(arena.add(first + at as usize).cast(), &from, tile % QUAD, blocks) }
            }
            let quads = reads.len().div_ceil(QUAD);
            product::products(&self.weights, &self.bias, inputs, products, [from.channels, to.channels, quads]);
            for (tile, &at) in writes.iter().enumerate() {
                let index = batch * QUADS * QUAD + tile;
                let inside = [to.height - index / columns * 4, to.width - index % columns * 4].map(|side| side.min(4));
                let products = &products[tile * PLACES * to.channels..][..PLACES * to.channels];
                // SAFETY: the pixels inside the image lie in the arena.
                unsafe {
                    let output = arena.add(to.origin() + at as usize).cast();
                    output::transform(products, &self.requantise, output, &to, inside);
                }
            }
        }
    }

    fn scratch(&self) -> usize {
        2 * self.input_len() + 4 * self.products_len()
    }

    fn packed(&self) -> usize {
        2 * self.weights.len() + 4 * self.bias.len() + size_of_val(&self.requantise[..]) + 8 * self.reads.len()
    }
}
