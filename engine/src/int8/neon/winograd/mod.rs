//! Winograd's convolutions, see [`crate::int8::winograd`], without dot products.

#[cfg(target_arch = "aarch64")]
mod input; // Bᵀ d B
#[cfg(target_arch = "aarch64")]
mod tile; // sums of products over the input channels, at one place
mod product; // all of them
#[cfg(target_arch = "aarch64")]
mod output; // Aᵀ m A, and requantisation

use bytemuck::cast_slice_mut;

use self::product::{CHANNELS, QUAD};
#[cfg(neon_a32)]
use super::a32::winograd::{input, output};
use super::requantise::Four;
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};
use crate::int8::winograd::{PLACES, TOGETHER, applies, bias, inside, weights};

/// Quads that are transformed at once: the weights are read once for so many.
const QUADS: usize = 2;

/// A 3×3 convolution of stride 1.
pub(super) struct Winograd {
    at: Geometry,
    /// As [`product::products`] reads them.
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
        if !inputs.is_multiple_of(8) || !applies(&at, filters, 128) {
            return None;
        }
        let channels = filters.channels();
        let mut packed = vec![0; PLACES * channels * inputs];
        for (first, input) in
            (0..channels).step_by(TOGETHER).flat_map(|first| (0..inputs).map(move |input| (first, input)))
        {
            let together = weights(filters, first, input);
            for block in (first..channels.min(first + TOGETHER)).step_by(CHANNELS) {
                let block_len = CHANNELS.min(channels - block);
                let of_input = packed[block * inputs + input * block_len..].chunks_mut(channels * inputs);
                for (packed, lanes) in of_input.zip(&together) {
                    packed[..block_len].copy_from_slice(&lanes[block - first..][..block_len]);
                }
            }
        }
        Some(Self {
            weights: packed,
            bias: bias(filters),
            requantise: Four::pack(&filters.requantise),
            reads: at.from.offsets(4, 1),
            writes: at.to.offsets(4, 1),
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

    /// # Safety
    /// The processor has NEON. Arena and scratch are those of the plan.
    #[target_feature(enable = "neon")]
    unsafe fn run_batches(&self, arena: &mut [u8], scratch: &mut [u8]) {
        let Geometry { from, to, .. } = self.at;
        let (inputs, products) = scratch.split_at_mut(2 * self.input_len());
        let inputs = &mut cast_slice_mut::<u8, i16>(inputs)[..];
        let products = &mut cast_slice_mut::<u8, i32>(&mut products[..4 * self.products_len()])[..];
        let first = self.at.first(0, 0);
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
            // SAFETY: the caller's.
            unsafe {
                product::products(&self.weights, &self.bias, inputs, products, [from.channels, to.channels, quads])
            }
            for (tile, &at) in writes.iter().enumerate() {
                let inside = inside(&to, batch * QUADS * QUAD + tile);
                let products = &products[tile * PLACES * to.channels..][..PLACES * to.channels];
                // SAFETY: the pixels inside the image lie in the arena.
                unsafe {
                    let output = arena.add(to.origin() + at as usize).cast();
                    output::transform(products, &self.requantise, output, &to, inside);
                }
            }
        }
    }
}

impl Kernel for Winograd {
    fn run(&self, arena: &mut [u8], scratch: &mut [u8]) {
        // SAFETY: the kernel is made for processors with NEON only, and both are those of the plan.
        unsafe { self.run_batches(arena, scratch) }
    }

    fn scratch(&self) -> usize {
        2 * self.input_len() + 4 * self.products_len()
    }

    fn packed(&self) -> usize {
        2 * self.weights.len() + 4 * self.bias.len() + size_of_val(&self.requantise[..]) + 8 * self.reads.len()
    }
}
