//! From pooled numbers to the feature, with the bytes of `macula-edge`.

use macula_edge::encoder::Map;
use macula_edge::encoder::format::MAP_LANES;

/// A linear map from P pooled numbers to D dimensions, with its weights widened once.
pub(super) struct LinearMap {
    /// Scale and bias of each dimension, `[D, 2]`.
    rows: Vec<[f32; 2]>,
    /// `[D / 8 rounded up, P, 8]`: eight dimensions side by side.
    weights: Vec<f32>,
}

impl LinearMap {
    /// Widens the weights of `map`.
    pub fn new(map: &Map<'_>) -> Self {
        Self { rows: map.rows().to_vec(), weights: map.weights().iter().map(|&half| widened(half)).collect() }
    }

    /// Computes the feature `[D]` of `pooled` `[P]`. A sum adds products in the order of `pooled` and rounds after each
    /// operation, as on the device.
    pub fn apply(&self, pooled: &[f32], feature: &mut [f32]) {
        let blocks = self.weights.chunks_exact(MAP_LANES * pooled.len());
        let features = feature.chunks_mut(MAP_LANES).zip(self.rows.chunks(MAP_LANES));
        for (weights, (feature, rows)) in blocks.zip(features) {
            let mut sums = [0.0; MAP_LANES];
            for (&number, weights) in pooled.iter().zip(weights.as_chunks::<MAP_LANES>().0) {
                for lane in 0..MAP_LANES {
                    sums[lane] += weights[lane] * number;
                }
            }
            for ((feature, sum), [scale, bias]) in feature.iter_mut().zip(sums).zip(rows) {
                *feature = sum * scale + bias;
            }
        }
    }

    /// Bytes of weights and parameters.
    pub fn len(&self) -> usize {
        size_of_val(&self.rows[..]) + size_of_val(&self.weights[..])
    }
}

/// The f32 of the same value as a finite f16: exponent and mantissa move to their places, and a factor of 2^112 makes up
/// for the different bias of the exponents.
fn widened(half: u16) -> f32 {
    let bits = (u32::from(half & 0x8000) << 16) | (u32::from(half & 0x7fff) << 13);
    f32::from_bits(bits) * f32::from_bits(0x7780_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_widened_exactly() {
        let cases =
            [(0x0001, 5.960_464_5e-8), (0x03ff, 6.097_555e-5), (0x0400, 6.103_515_6e-5), (0x3c00, 1.0), (0xc580, -5.5)];
        for (half, value) in cases {
            assert_eq!(widened(half), value, "{half:04x}");
        }
        assert_eq!(widened(0x8000).to_bits(), (-0.0f32).to_bits());
        assert_eq!(widened(0x7bff), 65504.0);
    }
}
