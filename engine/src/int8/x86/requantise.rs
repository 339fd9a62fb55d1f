//! Requantisation of sixteen sums, see [`Requantise::apply`]: the upper halves of 64-bit products, of even and odd lanes
//! apart because the instruction multiplies every second lane.

use core::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_packus_epi16, _mm256_add_epi32, _mm256_blend_epi32, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_mul_epi32, _mm256_packs_epi32, _mm256_permute4x64_epi64,
    _mm256_srav_epi32, _mm256_srli_epi64, _mm512_add_epi32, _mm512_cvtusepi32_epi8, _mm512_loadu_si512,
    _mm512_mask_blend_epi32, _mm512_max_epi32, _mm512_mul_epi32, _mm512_setzero_si512, _mm512_srav_epi32,
    _mm512_srli_epi64,
};

use macula_edge::encoder::Requantise;

/// Channels side by side.
pub(super) const CHANNELS: usize = 16;

/// The requantisation of sixteen channels side by side.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Sixteen {
    pub bias: [i32; CHANNELS],
    multiplier: [i32; CHANNELS],
    offset: [i32; CHANNELS],
    shift: [i32; CHANNELS],
}

impl Sixteen {
    /// Sixteen channels at a time; the last ones repeat their first channel.
    pub fn pack(channels: &[Requantise]) -> Vec<Self> {
        let sixteen = |channels: &[Requantise]| {
            let of: [Requantise; CHANNELS] = std::array::from_fn(|lane| *channels.get(lane).unwrap_or(&channels[0]));
            Self {
                bias: of.map(|of| of.bias),
                multiplier: of.map(|of| of.multiplier),
                offset: of.map(|of| of.offset),
                shift: of.map(|of| of.shift),
            }
        };
        channels.chunks(CHANNELS).map(sixteen).collect()
    }

    /// The bytes of sixteen sums.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub fn avx512(&self, sums: __m512i) -> __m128i {
        // SAFETY: each array has sixteen lanes.
        let [multiplier, offset, shift] = [&self.multiplier, &self.offset, &self.shift]
            .map(|lanes| unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) });
        let even = _mm512_mul_epi32(sums, multiplier);
        let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(sums), _mm512_srli_epi64::<32>(multiplier));
        let scaled = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd);
        let shifted = _mm512_srav_epi32(_mm512_add_epi32(scaled, offset), shift);
        _mm512_cvtusepi32_epi8(_mm512_max_epi32(shifted, _mm512_setzero_si512()))
    }

    /// The bytes of sixteen sums.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn avx2(&self, sums: [__m256i; 2]) -> __m128i {
        let half = |sums: __m256i, first: usize| {
            // SAFETY: each array has sixteen lanes, and `first` is 0 or 8.
            let [multiplier, offset, shift] = [&self.multiplier, &self.offset, &self.shift]
                .map(|lanes| unsafe { _mm256_loadu_si256(lanes.as_ptr().add(first).cast()) });
            let even = _mm256_mul_epi32(sums, multiplier);
            let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(sums), _mm256_srli_epi64::<32>(multiplier));
            let scaled = _mm256_blend_epi32::<0xaa>(_mm256_srli_epi64::<32>(even), odd);
            _mm256_srav_epi32(_mm256_add_epi32(scaled, offset), shift)
        };
        // The halves of both vectors come out interleaved, which the permutation undoes.
        let words = _mm256_packs_epi32(half(sums[0], 0), half(sums[1], 8));
        let words = _mm256_permute4x64_epi64::<0xd8>(words);
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words))
    }
}
