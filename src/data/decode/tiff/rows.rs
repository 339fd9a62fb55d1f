//! Decodes one row of a chunk: bit order and predictors.

use half::f16;

use super::super::samples::{Levels, SampleKind};
use super::tags::{Layout, Predictor};

/// The bits of each sample of `row`.
pub(super) fn values(layout: &Layout, is_big_endian: bool, row: &[u8]) -> Vec<u64> {
    let (bits, samples) = (layout.bits, layout.chunk_samples());
    let count = layout.chunk[0] * samples;
    if layout.predictor == Predictor::FloatingPoint {
        return undo_floating_point(row, count, bits / 8, samples);
    }
    let mut values: Vec<u64> = match bits % 8 {
        0 => row.chunks_exact(bits / 8).take(count).map(|bytes| number(bytes, is_big_endian)).collect(),
        _ => (0..count).map(|index| packed(row, index * bits, bits)).collect(),
    };
    if layout.predictor == Predictor::Horizontal {
        let mask = u64::MAX >> (64 - bits);
        for index in samples..values.len() {
            values[index] = values[index].wrapping_add(values[index - samples]) & mask;
        }
    }
    values
}

/// Maps a sample to a byte.
pub(super) fn byte(layout: &Layout, value: u64, levels: &mut Levels) -> u8 {
    let bits = layout.bits;
    match (layout.kind, bits) {
        (SampleKind::Unsigned, 0..=16) => levels.of_unsigned(value as u16),
        (SampleKind::Unsigned, _) => levels.of_value(value as f64),
        // Sign extension: shift the sign bit to the top and back.
        (SampleKind::Signed, _) => levels.of_value(((value << (64 - bits)) as i64 >> (64 - bits)) as f64),
        (SampleKind::Float, 16) => levels.of_value(f16::from_bits(value as u16).to_f64()),
        (SampleKind::Float, 32) => levels.of_value(f32::from_bits(value as u32).into()),
        (SampleKind::Float, _) => levels.of_value(f64::from_bits(value)),
    }
}

fn number(bytes: &[u8], is_big_endian: bool) -> u64 {
    let shift = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    if is_big_endian { bytes.iter().fold(0, shift) } else { bytes.iter().rev().fold(0, shift) }
}

/// `len` bits from bit `at`, most significant bit first.
fn packed(row: &[u8], at: usize, len: usize) -> u64 {
    let (first, last) = (at / 8, (at + len).div_ceil(8));
    let window = row[first..last].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    window >> (8 * last - at - len) & (u64::MAX >> (64 - len))
}

/// Adobe's floating-point predictor: the bytes of a row ordered by significance, highest first, each stored as the
/// difference from the previous one.
fn undo_floating_point(row: &[u8], count: usize, size: usize, samples: usize) -> Vec<u64> {
    let mut bytes = row.to_vec();
    for index in samples..bytes.len() {
        bytes[index] = bytes[index].wrapping_add(bytes[index - samples]);
    }
    (0..count)
        .map(|index| (0..size).fold(0, |number, weight| number << 8 | u64::from(bytes[weight * count + index])))
        .collect()
}
