//! Requantisation of sums, exactly as [`Requantise::apply`].
//!
//! A sum `s` becomes `y = clamp(((s * m >> 32) + offset) >> shift, 0, 255)`, of which `y - 128` is stored. SQDMULH gives
//! `p = floor(2 * s * m / 2^32)`, and `s * m >> 32` is `floor(p / 2)`. Nested floors are one:
//! `(floor(p / 2) + offset) >> shift = (p + 2 * offset) >> (shift + 1)`. Subtracting 128 there adds
//! `-128 * 2^(shift + 1)` to the offset. With an offset below 2^30 and a shift of at most 21 the new one fits 32 bits. Where
//! the sum of both saturates, the shifted result is at least 511 or at most -512, so it is clamped either way. Saturating
//! to a signed byte is the clamp.

use macula_edge::encoder::Requantise;

/// The requantisation of channels side by side.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(super) struct Parameters<const N: usize> {
    pub bias: [i32; N],
    pub multiplier: [i32; N],
    pub offset: [i32; N],
    /// Negative: SSHL shifts right by it.
    pub shift: [i32; N],
}

/// The requantisation of four channels side by side.
pub(super) type Four = Parameters<4>;

impl<const N: usize> Parameters<N> {
    /// `N` channels at a time. A last block that has fewer repeats its first one.
    pub fn pack(channels: &[Requantise]) -> Vec<Self> {
        let block = |of: &[Requantise]| {
            let of: [Requantise; N] = std::array::from_fn(|channel| *of.get(channel).unwrap_or(&of[0]));
            Self {
                bias: of.map(|of| of.bias),
                multiplier: of.map(|of| of.multiplier),
                offset: of.map(|of| 2 * of.offset.wrapping_sub(128 << of.shift)),
                shift: of.map(|of| -(of.shift + 1)),
            }
        };
        channels.chunks(N).map(block).collect()
    }
}
