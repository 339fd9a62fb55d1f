//! Winograd's convolutions, see [`crate::int8::winograd`], with AVX2, for channels that are multiples of 16.
//!
//! AVX-512's dot products of bytes are as fast without: those of 16 bits do half as many products at once.

mod input; // Bᵀ d B
mod product; // sums of products over the input channels
mod output; // Aᵀ m A, and requantisation

use bytemuck::cast_slice_mut;

use self::product::{Pair, TILES};
use super::requantise::{CHANNELS, Sixteen};
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};
use crate::int8::winograd::{PLACES, applies, bias, inside, weights};

/// A 3×3 convolution of stride 1.
pub(super) struct Winograd {
    at: Geometry,
    /// `[36, O / 16, C / 2]`.
    weights: Vec<Pair>,
    /// 576 times the bias, modulo 2^32.
    bias: Vec<i32>,
    requantise: Vec<Sixteen>,
    /// Where each tile reads and is written, from the first.
    reads: Vec<u32>,
    writes: Vec<u32>,
}

impl Winograd {
    /// Transforms the weights. `None` if the layer has another form, or the sums of a channel may be too large.
    pub fn new(at: Geometry, filters: &Filters) -> Option<Self> {
        let (inputs, channels) = (at.from.channels, filters.channels());
        if !inputs.is_multiple_of(CHANNELS) || !channels.is_multiple_of(CHANNELS) || !applies(&at, filters, 255) {
            return None;
        }
        let (blocks, pairs) = (channels / CHANNELS, inputs / 2);
        let mut packed = vec![Pair([[0; 2]; CHANNELS]); PLACES * blocks * pairs];
        for (block, pair) in (0..blocks).flat_map(|block| (0..pairs).map(move |pair| (block, pair))) {
            let [even, odd] = [0, 1].map(|k| weights(filters, block * CHANNELS, 2 * pair + k));
            let of_pair = packed[block * pairs + pair..].iter_mut().step_by(blocks * pairs);
            for (packed, (even, odd)) in of_pair.zip(even.iter().zip(&odd)) {
                *packed = Pair(std::array::from_fn(|channel| [even[channel], odd[channel]]));
            }
        }
        let (bias, requantise) = (bias(filters), Sixteen::pack(&filters.requantise));
        Some(Self { weights: packed, bias, requantise, reads: at.from.offsets(4, 1), writes: at.to.offsets(4, 1), at })
    }

    /// i16 of the transformed input of a batch of tiles, `[36, TILES, C]`.
    fn input_len(&self) -> usize {
        PLACES * TILES * self.at.from.channels
    }

    /// i32 of its products, `[TILES, O / 16, 36, 16]`.
    fn products_len(&self) -> usize {
        PLACES * TILES * self.at.to.channels
    }
}

impl Kernel for Winograd {
    fn run(&self, arena: &mut [u8], scratch: &mut [u8]) {
        let Geometry { from, to, .. } = self.at;
        let (inputs, products) = scratch.split_at_mut(2 * self.input_len());
        let inputs = &mut cast_slice_mut::<u8, i16>(inputs)[..];
        let products = &mut cast_slice_mut::<u8, i32>(&mut products[..4 * self.products_len()])[..];
        let first = self.at.first(0, 0);
        let arena = arena.as_mut_ptr();
        let tile_len = PLACES * to.channels;
        for (batch, (reads, writes)) in self.reads.chunks(TILES).zip(self.writes.chunks(TILES)).enumerate() {
            // SAFETY: the kernel is made for processors with AVX2 only. The window of a tile lies in the
            // arena or the margin of four rows behind it, and its pixels inside the image lie in the arena. Scratch and
            // weights have the lengths above.
            unsafe {
                for (tile, &at) in reads.iter().enumerate() {
                    let to = inputs.as_mut_ptr().add(tile * from.channels);
                    input::transform(arena.add(first + at as usize), &from, to);
                }
                let shape = [from.channels, to.channels, reads.len()];
                product::products(&self.weights, &self.bias, inputs, products, shape);
                for (tile, &at) in writes.iter().enumerate() {
                    let inside = inside(&to, batch * TILES + tile);
                    let products = &products[tile * tile_len..][..tile_len];
                    let output = arena.add(to.origin() + at as usize);
                    output::transform(products, &self.requantise, output, &to, inside);
                }
            }
        }
    }

    fn scratch(&self) -> usize {
        2 * self.input_len() + 4 * self.products_len()
    }

    fn packed(&self) -> usize {
        let parameters = 4 * self.bias.len() + size_of_val(&self.requantise[..]) + 8 * self.reads.len();
        size_of_val(&self.weights[..]) + parameters
    }
}
