//! The readout of an encoder as a section of a blob: pooled values, and the linear map with weights in f16.

use half::f16;
use macula_edge::encoder::format::{MAP_LANES, PART_CELLS, PART_MEAN, PART_STD};

use super::error::MakeBlobError;
use super::parts::BlobParts;
use crate::encoder::{LinearMap, STD_EPSILON};

/// The largest weight of a row lies in 2^14 to 2^15, near the end of f16, so that weights 2^28 times smaller keep all digits.
const LARGEST_EXPONENT: i32 = 14;

/// Bytes of the section, in the order of `docs/blob-format.md`; none for the mean of the last value, which needs no section.
///
/// * `units`: number per unit of each value as stored
///
/// # Errors
/// A weight or bias that is not finite.
pub(super) fn section(parts: &BlobParts<'_>, units: &[f32]) -> Result<Vec<u8>, MakeBlobError> {
    let spec = &parts.encoder.spec;
    if spec.readout.is_mean() {
        return Ok(Vec::new());
    }
    let pooled = spec.pooled(spec.readout.pooling);
    let mut bytes = Vec::new();
    bytes.extend((pooled.values.len() as u16).to_le_bytes());
    bytes.extend(u16::from(parts.encoder.map.is_some()).to_le_bytes());
    bytes.extend(STD_EPSILON.to_le_bytes());
    for (index, &(value, _)) in pooled.values.iter().enumerate() {
        let is_last = index + 1 == pooled.values.len();
        let std = if pooled.has_std { PART_STD } else { 0 };
        let cells = if pooled.has_cells && is_last { PART_CELLS } else { 0 };
        bytes.extend((value as u16).to_le_bytes());
        bytes.extend((PART_MEAN | std | cells).to_le_bytes());
        bytes.extend(units[value].to_le_bytes());
    }
    if let Some(map) = &parts.encoder.map {
        check_finite(map)?;
        append_map(&mut bytes, map, pooled.len());
    }
    Ok(bytes)
}

fn check_finite(map: &LinearMap) -> Result<(), MakeBlobError> {
    for (what, values) in [("weight", &map.weight), ("bias", &map.bias)] {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (layer, value) = ("readout".to_owned(), values[index]);
            return Err(MakeBlobError::Value { layer, what, index, value, element: "f16" });
        }
    }
    Ok(())
}

/// Scale and bias of each row, then weights `[D / 8 rounded up, P, 8]`.
fn append_map(bytes: &mut Vec<u8>, map: &LinearMap, pooled: usize) {
    let rows: Vec<(f32, Vec<f16>)> = map.weight.chunks(pooled).map(scaled).collect();
    for ((scale, _), bias) in rows.iter().zip(&map.bias) {
        bytes.extend([scale.to_le_bytes(), bias.to_le_bytes()].as_flattened());
    }
    for block in rows.chunks(MAP_LANES) {
        for p in 0..pooled {
            let lanes = (0..MAP_LANES).map(|lane| block.get(lane).map_or(f16::ZERO, |(_, weights)| weights[p]));
            bytes.extend(lanes.flat_map(f16::to_le_bytes));
        }
    }
}

/// A power of two and weights in f16 whose product is `row`.
fn scaled(row: &[f32]) -> (f32, Vec<f16>) {
    let largest = row.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
    // From its bits: a logarithm may round up to the next power of two.
    let exponent = (largest.to_bits() >> 23) as i32 - 127 - LARGEST_EXPONENT;
    let scale = if largest > 0.0 { 2f32.powi(exponent.max(f32::MIN_EXP)) } else { 1.0 };
    (scale, row.iter().map(|weight| f16::from_f32(weight / scale)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of any size keep eleven binary digits, and small weights of a row do, too.
    #[test]
    fn a_row_keeps_the_digits_of_f16() {
        for size in [1e-30f32, 1e-6, 1.0, 3e4, 1e30] {
            let row = [1.0, -0.7, 1e-3, -3.3e-7].map(|weight: f32| weight * size);
            let (scale, weights) = scaled(&row);
            for (weight, half) in row.iter().zip(weights) {
                let found = scale * half.to_f32();
                assert!((found - weight).abs() <= weight.abs() / 2048.0, "{weight}: {found}");
            }
        }
        assert_eq!(scaled(&[0.0; 3]), (1.0, vec![f16::ZERO; 3]));
    }
}
