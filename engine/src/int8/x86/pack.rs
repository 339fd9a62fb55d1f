//! What the convolutions of both instruction sets share: packed weights, and where pixels lie.

use core::arch::x86_64::{__m128i, _mm_storel_epi64, _mm_storeu_si128};

use super::requantise::{CHANNELS, Sixteen};
use crate::int8::filters::Filters;
use crate::int8::kernel::Geometry;

/// Pixels of a tile.
pub(super) const PIXELS: usize = 8;

/// A convolution over all channels.
pub(super) struct Packed<W> {
    pub at: Geometry,
    /// `[O / 16, rows, lanes, …]`: a lane is four adjacent bytes of a run of sixteen channels. Missing weights are 0.
    pub weights: Vec<W>,
    pub requantise: Vec<Sixteen>,
    /// Lanes of a run.
    pub lanes: usize,
    /// O.
    pub channels: usize,
    /// Where each output pixel reads and is written, from the first, padded to whole tiles by the last.
    pub reads: Vec<u32>,
    pub writes: Vec<u32>,
}

impl<W> Packed<W> {
    /// Packs the weights; `lane` makes those of a lane of `[16, 4]` numbers.
    pub fn new(at: Geometry, filters: &Filters, lane: impl Fn([[i8; 4]; CHANNELS]) -> W) -> Self {
        let (rows, run) = at.window();
        let (channels, lanes) = (filters.channels(), run.div_ceil(4));
        let mut weights = Vec::with_capacity(channels.div_ceil(CHANNELS) * rows * lanes);
        for block in (0..channels).step_by(CHANNELS) {
            let of_block: [&[i8]; CHANNELS] = std::array::from_fn(|channel| match block + channel < channels {
                true => filters.filter(block + channel),
                false => &[],
            });
            for row in 0..rows {
                let runs = of_block.map(|filter| filter.chunks_exact(run).nth(row).unwrap_or_default());
                for first in (0..run).step_by(4) {
                    let four = |of: &[i8]| match of.get(first..first + 4) {
                        Some(&[a, b, c, d]) => [a, b, c, d],
                        _ => std::array::from_fn(|k| of.get(first + k).copied().unwrap_or(0)),
                    };
                    weights.push(lane(runs.map(four)));
                }
            }
        }
        let (reads, writes) = (at.from.offsets(at.stride, PIXELS), at.to.offsets(1, PIXELS));
        Self { at, weights, requantise: Sixteen::pack(&filters.requantise), lanes, channels, reads, writes }
    }

    /// Bytes of weights and parameters.
    pub fn len(&self) -> usize {
        size_of_val(&self.weights[..]) + size_of_val(&self.requantise[..]) + 8 * self.reads.len()
    }
}

/// Stores the bytes of sixteen channels, or of eight if `half`.
///
/// # Safety
/// So many bytes can be written at `to`.
#[target_feature(enable = "sse2")]
#[inline]
pub(super) unsafe fn store(to: *mut u8, bytes: __m128i, half: bool) {
    // SAFETY: the caller's.
    unsafe {
        if half {
            _mm_storel_epi64(to.cast(), bytes);
        } else {
            _mm_storeu_si128(to.cast(), bytes);
        }
    }
}
