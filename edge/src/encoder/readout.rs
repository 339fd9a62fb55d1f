//! The readout of a blob: which values are pooled, which of their statistics, and a linear map to the feature.
//!
//! D feature dimensions, P pooled numbers: value by value in the order of computation, and of each value C means,
//! C standard deviations, 4 C means of cells, where stated.

use core::ops::Range;

use bytemuck::cast_slice;

use super::error::BlobError;
use super::format::{
    MAP_LANES, MAP_ROW_LEN, PART_CELLS, PART_MEAN, PART_STD, POOLED_LEN, POOLED_MAX, POOLED_VALUES_MAX,
    READOUT_COUNT_AT, READOUT_EPS_AT, READOUT_MAP_AT, READOUT_VALUES_AT, u16_at, u32_at,
};
use super::node::Value;

/// The exponent of an f16 that is infinite or NaN.
const INFINITE: u16 = 0x7c00;

/// A value that contributes to the feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PooledValue {
    /// Its index; at least 1, because the input is not pooled.
    pub value: usize,
    /// [`PART_MEAN`], with or without [`PART_STD`] and [`PART_CELLS`].
    pub parts: u16,
    /// Pooled number per unit of the stored value.
    pub unit: f32,
}

impl PooledValue {
    const EMPTY: Self = Self { value: 0, parts: PART_MEAN, unit: 0.0 };

    /// Pooled numbers of this value, whose shape is `value`.
    pub fn numbers(self, value: Value) -> usize {
        let per_channel = 1 + usize::from(self.parts & PART_STD != 0) + 4 * usize::from(self.parts & PART_CELLS != 0);
        per_channel * usize::from(value.channels)
    }
}

/// A linear map from P pooled numbers to D dimensions: `feature[d] = scale[d] * sum(weight[d, p] * pooled[p]) + bias[d]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Map<'b> {
    /// Scale and bias of each dimension, `[D, 2]`.
    rows: &'b [[f32; 2]],
    /// f16, `[D / 8 rounded up, P, 8]`: eight dimensions side by side.
    weights: &'b [u16],
}

impl Map<'_> {
    /// Scale and bias of each dimension, `[D]`.
    pub fn rows(&self) -> &[[f32; 2]] {
        self.rows
    }

    /// Weights as f16, all finite, `[D / 8 rounded up, P, 8]`: eight dimensions side by side.
    pub fn weights(&self) -> &[u16] {
        self.weights
    }

    /// Computes the feature `[D]` of `pooled` `[P]`. A sum adds products in the order of `pooled`, rounding after each
    /// operation, so the bits are the same on every CPU.
    fn apply(&self, pooled: &[f32], feature: &mut [f32]) {
        let blocks = self.weights.chunks_exact(MAP_LANES * pooled.len());
        let features = feature.chunks_mut(MAP_LANES).zip(self.rows.chunks(MAP_LANES));
        for (weights, (feature, rows)) in blocks.zip(features) {
            let mut sums = [0.0; MAP_LANES];
            for (&number, weights) in pooled.iter().zip(weights.as_chunks::<MAP_LANES>().0) {
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    *sum += finite_to_f32(weight) * number;
                }
            }
            for ((feature, sum), [scale, bias]) in feature.iter_mut().zip(sums).zip(rows) {
                *feature = sum * scale + bias;
            }
        }
    }
}

/// The f32 of the same value as a finite f16: as [`super::conv_f16::f16_to_f32`], in three instructions of a Cortex-M7.
fn finite_to_f32(half: u16) -> f32 {
    // The sign fills bits 28 to 31, of which only the last is that of an f32.
    let bits = ((i32::from(half as i16) << 13) as u32) & 0x8fff_ffff;
    f32::from_bits(bits) * f32::from_bits(0x7780_0000)
}

/// A checked readout.
#[derive(Clone, Debug)]
pub struct Readout<'b> {
    values: [PooledValue; POOLED_VALUES_MAX],
    count: usize,
    /// P.
    pooled: usize,
    eps: f32,
    map: Option<Map<'b>>,
    /// Whether the pooled numbers may lie in the scratch of the kernels, which none uses after the last value.
    in_scratch: bool,
}

impl<'b> Readout<'b> {
    /// The mean over the pixels of the last value.
    ///
    /// # Errors
    /// When `dim` is not its number of channels.
    pub(super) fn mean(values: &[Value], dim: usize, unit: f32) -> Result<Self, BlobError> {
        let last = values.len() - 1;
        let pooled = usize::from(values[last].channels);
        if dim != pooled {
            let (found, limit) = (dim as u64, pooled as u64);
            return Err(BlobError::Header { what: "feature dimension", found, limit });
        }
        let mut entries = [PooledValue::EMPTY; POOLED_VALUES_MAX];
        entries[0] = PooledValue { value: last, parts: PART_MEAN, unit };
        Ok(Self { values: entries, count: 1, pooled, eps: 0.0, map: None, in_scratch: true })
    }

    /// Checks section [`SectionKind::Readout`](super::format::SectionKind::Readout).
    ///
    /// * `values`: shape of each value of the graph
    /// * `dim`: D
    ///
    /// # Errors
    /// The first fault found.
    pub(super) fn parse(section: &'b [u8], values: &[Value], dim: usize) -> Result<Self, BlobError> {
        require_len(section, READOUT_VALUES_AT)?;
        let u16_in = |what, at, least, most| within(what, u16_at(section, at).into(), least, most);
        let count = u16_in("number of pooled values", READOUT_COUNT_AT, 1, POOLED_VALUES_MAX)?;
        let has_map = u16_in("kind of the linear map", READOUT_MAP_AT, 0, 1)? == 1;
        let eps = finite("eps", section, READOUT_EPS_AT)?;
        let values_end = READOUT_VALUES_AT + POOLED_LEN * count;
        require_len(section, values_end)?;
        let mut entries = [PooledValue::EMPTY; POOLED_VALUES_MAX];
        let (mut least, mut pooled) = (1, 0);
        for (index, entry) in entries.iter_mut().enumerate().take(count) {
            let at = READOUT_VALUES_AT + POOLED_LEN * index;
            // Increasing, so that each value is pooled once, in the order of computation.
            let value = u16_in("pooled value", at, least, values.len() - 1)?;
            let parts =
                u16_in("parts of a pooled value", at + 2, 1, (PART_MEAN | PART_STD | PART_CELLS).into())? as u16;
            within("mean of a pooled value", (parts & PART_MEAN).into(), 1, 1)?;
            *entry = PooledValue { value, parts, unit: finite("unit of a pooled value", section, at + 4)? };
            pooled += entry.numbers(values[value]);
            least = value + 1;
        }
        within("number of pooled numbers", pooled as u64, 1, POOLED_MAX)?;
        let map = match has_map {
            true => Some(map(section, values_end, pooled, dim)?),
            false => {
                within("feature dimension", dim as u64, pooled, pooled)?;
                None
            }
        };
        let needed = values_end + if has_map { map_len(pooled, dim) } else { 0 };
        if section.len() != needed {
            return Err(length_error(section, needed));
        }
        Ok(Self { values: entries, count, pooled, eps, map, in_scratch: false })
    }

    /// The pooled values, in the order of computation.
    pub fn values(&self) -> &[PooledValue] {
        &self.values[..self.count]
    }

    /// P, number of pooled numbers.
    pub fn pooled(&self) -> usize {
        self.pooled
    }

    /// Added to a variance before its root.
    pub fn eps(&self) -> f32 {
        self.eps
    }

    /// The linear map, if there is one; otherwise the pooled numbers are the feature.
    pub fn map(&self) -> Option<&Map<'b>> {
        self.map.as_ref()
    }

    /// How value `index` is pooled, if it is.
    pub(super) fn of_value(&self, index: usize) -> Option<PooledValue> {
        self.values().iter().copied().find(|entry| entry.value == index)
    }

    /// Words of the arena behind the values: the scratch of the kernels, `kernel_words`, and the pooled numbers.
    pub(super) fn scratch_words(&self, kernel_words: usize) -> usize {
        if self.in_scratch { kernel_words.max(self.pooled) } else { kernel_words + self.pooled }
    }

    /// Words of the arena behind the scratch of the kernels.
    pub(super) fn behind_scratch(&self) -> usize {
        if self.in_scratch { 0 } else { self.pooled }
    }

    /// Where the pooled numbers lie in an arena of `words` words.
    pub(super) fn pooled_range(&self, words: usize) -> Range<usize> {
        words - self.pooled..words
    }

    /// Computes the feature `[D]` of the pooled numbers `[P]`.
    pub(super) fn finish(&self, pooled: &[f32], feature: &mut [f32]) {
        match &self.map {
            Some(map) => map.apply(pooled, feature),
            None => feature.copy_from_slice(pooled),
        }
    }
}

/// Bytes of a linear map from `pooled` numbers to `dim` dimensions. No 32-bit number overflows: there are at most 2^14
/// pooled numbers and 2^12 dimensions.
fn map_len(pooled: usize, dim: usize) -> usize {
    MAP_ROW_LEN * dim + 2 * pooled * dim.next_multiple_of(MAP_LANES)
}

fn map(section: &[u8], at: usize, pooled: usize, dim: usize) -> Result<Map<'_>, BlobError> {
    let len = map_len(pooled, dim);
    require_len(section, at + len)?;
    let (rows, weights) = section[at..at + len].split_at(MAP_ROW_LEN * dim);
    // The section begins at a multiple of 4, and so do these parts.
    let weights: &[u16] = cast_slice(weights);
    if let Some(&infinite) = weights.iter().find(|&&weight| weight & INFINITE == INFINITE) {
        let (found, limit) = (infinite.into(), u64::from(INFINITE) - 1);
        return Err(BlobError::Readout { what: "weight of the linear map", found, limit });
    }
    Ok(Map { rows: cast_slice(rows), weights })
}

fn require_len(section: &[u8], needed: usize) -> Result<(), BlobError> {
    if section.len() < needed { Err(length_error(section, needed)) } else { Ok(()) }
}

fn length_error(section: &[u8], needed: usize) -> BlobError {
    let (len, needed) = (section.len() as u64, needed as u64);
    BlobError::Readout { what: "length", found: len, limit: needed }
}

fn within(what: &'static str, found: u64, least: usize, most: usize) -> Result<usize, BlobError> {
    let (least, most) = (least as u64, most as u64);
    match (least..=most).contains(&found) {
        true => Ok(found as usize),
        false => Err(BlobError::Readout { what, found, limit: if found < least { least } else { most } }),
    }
}

/// The f32 at `at`, not negative and finite; an error has its bits.
fn finite(what: &'static str, section: &[u8], at: usize) -> Result<f32, BlobError> {
    let bits = u32_at(section, at);
    within(what, bits.into(), 0, f32::MAX.to_bits() as usize)?;
    Ok(f32::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::super::conv_f16::f16_to_f32;
    use super::*;

    #[test]
    fn every_finite_half_is_widened_exactly() {
        for half in (0..=u16::MAX).filter(|half| half & INFINITE != INFINITE) {
            assert_eq!(finite_to_f32(half).to_bits(), f16_to_f32(half).to_bits(), "{half:04x}");
        }
    }
}
