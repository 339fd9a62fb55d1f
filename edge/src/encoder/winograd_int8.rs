//! 3×3 convolutions of stride 1 in int8 by Winograd's F(2×2, 3×3) in exact integers: 16 products instead of 36 for four
//! outputs of an input channel.
//!
//! For a 4×4 tile d of the input and a 3×3 filter g, the 2×2 outputs are `Y = Aᵀ ((G g Gᵀ) ⊙ (Bᵀ d B)) A` (Lavin and Gray,
//! arXiv:1509.09308). The fractions of G are cleared by a factor of 2 on both sides, of which its first and last rows
//! leave theirs to Aᵀ, so 4 Y is computed:
//!
//! ```text
//!      1  0 -1  0          1  0  0
//! Bᵀ = 0  1  1  0     G =  1  1  1     Aᵀ = 2  1  1  0
//!      0 -1  1  0          1 -1  1          0  1 -1 -2
//!      0  1  0 -1          0  0  1
//! ```
//!
//! * A row of Bᵀ has a sum of magnitudes of 2, so a transformed value is at most 4 × 255; a transformed weight is at most
//!   9 × 128. Both fit 16 bits.
//! * Sums of 32 bits may wrap around: every step is linear, so the result is 4 Y modulo 2^32. That is 4 Y itself, because
//!   |Y| is below 2^29 with at most [`CHANNELS_MAX`] input channels, and a shift by 2 gives Y.

use bytemuck::cast_slice_mut;

use super::conv_int8::Convolution;
use super::kernel::finish::finish;
use super::kernel::places::{Group, PLACES, products};
use super::kernel::transform::{transform_filters, transform_tile};

/// Most input channels: 9 × 1024 × 255 × 128 is below 2^29.
const CHANNELS_MAX: usize = 1024;

/// Most tiles transformed at a time for which memory is asked. More would save little: a transformed filter is used once
/// for each.
const TILES: usize = 24;

/// Whether a convolution of `channels` input channels can take this form.
pub(super) fn applies(kernel: usize, stride: usize, channels: usize) -> bool {
    kernel == 3 && stride == 1 && channels.is_multiple_of(8) && channels <= CHANNELS_MAX
}

/// Words of scratch: a tile as in the image, two transformed filters, and `tiles` transformed tiles.
fn words(channels: usize, tiles: usize) -> usize {
    (PLACES / 4 + PLACES + PLACES / 2 * tiles.next_multiple_of(2)) * channels
}

/// Words of scratch that a convolution with `pixels` outputs is best given.
pub(super) fn words_wanted(channels: usize, pixels: usize) -> usize {
    words(channels, TILES.min(pixels.div_ceil(4)))
}

/// Tiles for which `scratch` words have room, an even number.
fn tiles_in(channels: usize, scratch: usize) -> usize {
    (scratch / channels).saturating_sub(PLACES / 4 + PLACES) / PLACES * 2
}

/// Whether `scratch` words suffice.
pub(super) fn fits(channels: usize, scratch: usize) -> bool {
    tiles_in(channels, scratch) > 0
}

/// A convolution in tiles of 2×2 outputs.
pub(super) struct Tiles<'a> {
    conv: &'a Convolution<'a>,
    /// C / 4.
    quads: usize,
}

/// A tile by the row and column of its first output.
#[derive(Clone, Copy)]
struct Tile {
    row: usize,
    column: usize,
}

impl<'a> Tiles<'a> {
    /// `conv` must be one to which this [`applies`].
    pub fn new(conv: &'a Convolution<'a>) -> Self {
        Self { conv, quads: usize::from(conv.from.channels) / 4 }
    }

    /// Runs the convolution: transforms as many tiles as there is room for, then computes all their channels, a pair of
    /// filters with a pair of tiles at a time.
    ///
    /// * `input`: `[H, W, C]`
    /// * `scratch`: as [`fits`] demands
    /// * `output`: `[H, W, O]`
    pub fn run(&self, input: &[u32], scratch: &mut [u32], output: &mut [u32]) {
        let quads = self.quads;
        let tiles = tiles_in(4 * quads, scratch.len());
        let (tile_words, rest) = scratch.split_at_mut(PLACES * quads);
        let (groups, _) = rest.as_chunks_mut::<4>().0.as_chunks_mut::<PLACES>();
        let (filters, values) = groups.split_at_mut(quads);
        let output: &mut [u16] = cast_slice_mut(output);
        let weights = self.conv.weights.chunks_exact(18 * 4 * quads);
        let (parameters, _) = self.conv.parameters.as_chunks::<4>();
        let count = usize::from(self.conv.to.width).div_ceil(2) * usize::from(self.conv.to.height).div_ceil(2);
        let (mut first, mut begin) = (0, Tile { row: 0, column: 0 });
        while first < count && tiles > 0 {
            let block = tiles.min(count - first);
            let mut tile = begin;
            for index in 0..block {
                let pair = &mut values[index / 2 * quads..][..quads];
                let (pixels, row_words) = self.pixels(input, tile_words, tile);
                match index % 2 {
                    0 => transform_tile::<0>(pixels, row_words, pair),
                    _ => transform_tile::<1>(pixels, row_words, pair),
                }
                tile = self.next(tile);
            }
            let values = &values[..block.div_ceil(2) * quads];
            for (pair, (weights, parameters)) in weights.clone().zip(parameters.as_chunks::<2>().0).enumerate() {
                transform_filters(weights, filters);
                tile = self.two_channels(filters, parameters, values, begin, block, &mut output[pair..]);
            }
            (first, begin) = (first + block, tile);
        }
    }

    /// Computes two channels of `count` tiles. Not inlined: among the variables of its caller, its own would lie in memory.
    ///
    /// * `output`: pairs of channels, from the first of the two; returns the tile behind the last
    #[inline(never)]
    fn two_channels(
        &self,
        filters: &[Group],
        parameters: &[[u32; 4]; 2],
        values: &[Group],
        begin: Tile,
        count: usize,
        output: &mut [u16],
    ) -> Tile {
        let mut tile = begin;
        let mut sums = [[0; 4]; PLACES];
        for (pair, values) in values.chunks_exact(self.quads).enumerate() {
            products(filters, values, &mut sums);
            let outputs = finish(&sums, parameters);
            // The last of an odd number of tiles is computed beside stale words.
            for outputs in outputs.iter().take(count - 2 * pair) {
                self.write(outputs, tile, output);
                tile = self.next(tile);
            }
        }
        tile
    }

    /// The tile to the right, or the first of the next row.
    fn next(&self, tile: Tile) -> Tile {
        match tile.column + 2 < usize::from(self.conv.to.width) {
            true => Tile { column: tile.column + 2, ..tile },
            false => Tile { row: tile.row + 2, column: 0 },
        }
    }

    /// The 4×4 pixels of the input under a tile, and words from one row to the next. If some lie outside the image, all are
    /// copied to `tile_words`.
    fn pixels<'p>(&self, input: &'p [u32], tile_words: &'p mut [u32], tile: Tile) -> (&'p [u32], usize) {
        let (height, width) = (usize::from(self.conv.from.height), usize::from(self.conv.from.width));
        let first = |y: usize, x: usize| (y * width + x) * self.quads;
        if tile.row > 0 && tile.column > 0 && tile.row + 3 <= height && tile.column + 3 <= width {
            return (&input[first(tile.row - 1, tile.column - 1)..], width * self.quads);
        }
        let outside = u32::from_ne_bytes([self.conv.padding[0]; 4]);
        let (left, right) = (usize::from(tile.column == 0), 4.min(width + 1 - tile.column));
        for (y, pixels) in tile_words.chunks_exact_mut(4 * self.quads).enumerate() {
            let y = tile.row + y;
            let is_inside = (1..=height).contains(&y);
            if !is_inside || right - left < 4 {
                pixels.fill(outside);
            }
            if is_inside {
                let inside = &input[first(y - 1, tile.column + left - 1)..][..(right - left) * self.quads];
                pixels[left * self.quads..right * self.quads].copy_from_slice(inside);
            }
        }
        (tile_words, 4 * self.quads)
    }

    /// Writes the outputs of one tile and two channels.
    #[inline(always)]
    fn write(&self, outputs: &[u16; 4], tile: Tile, output: &mut [u16]) {
        let (height, width) = (usize::from(self.conv.to.height), usize::from(self.conv.to.width));
        let pixel_pairs = usize::from(self.conv.to.channels) / 2;
        let mut at = (tile.row * width + tile.column) * pixel_pairs;
        let has_right = tile.column + 1 < width;
        output[at] = outputs[0];
        if has_right {
            output[at + pixel_pairs] = outputs[1];
        }
        if tile.row + 1 < height {
            at += width * pixel_pairs;
            output[at] = outputs[2];
            if has_right {
                output[at + pixel_pairs] = outputs[3];
            }
        }
    }
}
