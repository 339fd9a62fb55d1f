//! Sums of products over the input channels, at each place of transformed tiles.

#[cfg(target_arch = "aarch64")]
use super::tile;
#[cfg(neon_a32)]
use crate::int8::neon::a32::winograd::tile;
use crate::int8::winograd::{CENTRE, PLACES};

pub(super) use tile::{CHANNELS, QUAD};

/// What is added at the other places.
static NO_BIAS: [i32; CHANNELS] = [0; CHANNELS];

/// Computes all places of some quads of tiles.
///
/// * `weights`: `[36, O / 16, C / 8, 8, 16]` with [`CHANNELS`] for 16, of which a last block may have eight channels
/// * `bias`: `[O]`, added at the centre
/// * `inputs`: `[quads, C / 8, 36, 4, 8]`
/// * `products`: `[4 quads, O / 4, 36, 4]`
/// * `shape`: C, O, quads
///
/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn products(
    weights: &[i16],
    bias: &[i32],
    inputs: &[i16],
    products: &mut [i32],
    [inputs_len, outputs, quads]: [usize; 3],
) {
    // Every access below is inside these.
    assert!(weights.len() >= PLACES * inputs_len * outputs && bias.len() >= outputs);
    assert!(inputs.len() >= quads * QUAD * PLACES * inputs_len && products.len() >= quads * QUAD * PLACES * outputs);
    for place in 0..PLACES {
        for first in (0..outputs).step_by(CHANNELS) {
            let channels = CHANNELS.min(outputs - first);
            let bias = if place == CENTRE { &bias[first..] } else { &NO_BIAS[..] };
            // SAFETY: the caller's, and see the assertions.
            unsafe {
                let weights = weights.as_ptr().add((place * outputs + first) * inputs_len);
                let inputs = inputs.as_ptr().add(8 * QUAD * place);
                let products = products.as_mut_ptr().add(first * PLACES + 4 * place);
                tile::products(weights, bias.as_ptr(), inputs, products, [inputs_len / 8, channels, outputs, quads]);
            }
        }
    }
}
