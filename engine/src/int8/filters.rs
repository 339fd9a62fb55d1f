//! The weights and requantisation of a convolution, as numbers.

use macula_edge::encoder::Requantise;

/// A convolution over all channels or of each alone. O output channels, K weights per output channel.
pub(super) struct Filters {
    /// Convolution: `[O, K]`, K over rows, columns, channels. Depthwise: `[9, O]`.
    pub weights: Vec<i8>,
    /// One for each output channel, for values as they are stored.
    pub requantise: Vec<Requantise>,
}

impl Filters {
    /// Reads the weights of a convolution, `[O / 2, K' / 4, 2, 4]` with K' = K rounded up to a multiple of 4.
    pub fn of_convolution(weights: &[u8], parameters: &[u32], inputs: usize, flip: u8) -> Self {
        let channels = parameters.len() / 4;
        let padded = weights.len() / channels;
        let mut of_channels = Vec::with_capacity(channels * inputs + 3);
        for channel in 0..channels {
            let pair = &weights[channel / 2 * 2 * padded..][..2 * padded];
            for lane in pair.as_chunks::<8>().0 {
                of_channels.extend(lane[channel % 2 * 4..][..4].iter().map(|&weight| weight as i8));
            }
            of_channels.truncate((channel + 1) * inputs);
        }
        let sums = of_channels.chunks_exact(inputs).map(|filter| filter.iter().map(|&weight| i32::from(weight)).sum());
        let requantise = requantise(parameters, sums, flip);
        Self { weights: of_channels, requantise }
    }

    /// Reads the weights of a depthwise convolution, `[9, C]`.
    pub fn of_depthwise(weights: &[u8], parameters: &[u32], flip: u8) -> Self {
        let channels = parameters.len() / 4;
        let weights: Vec<i8> = weights.iter().map(|&weight| weight as i8).collect();
        let sums = (0..channels).map(|c| weights[c..].iter().step_by(channels).map(|&weight| i32::from(weight)).sum());
        let requantise = requantise(parameters, sums, flip);
        Self { weights, requantise }
    }

    /// O.
    pub fn channels(&self) -> usize {
        self.requantise.len()
    }

    /// The weights of an output channel of a convolution.
    pub fn filter(&self, channel: usize) -> &[i8] {
        let inputs = self.weights.len() / self.channels();
        &self.weights[channel * inputs..][..inputs]
    }
}

/// The requantisation of each channel. A value is its stored byte plus `flip`, so `flip` times the sum of the weights
/// belongs to the bias. It may wrap around, and so does the sum, which comes back to the true one.
fn requantise(parameters: &[u32], sums: impl Iterator<Item = i32>, flip: u8) -> Vec<Requantise> {
    let words = parameters.as_chunks::<4>().0;
    let shifted = |(words, sum): (&[u32; 4], i32)| {
        let of_blob = Requantise::from_words(*words);
        Requantise { bias: of_blob.bias.wrapping_add(i32::from(flip).wrapping_mul(sum)), ..of_blob }
    };
    words.iter().zip(sums).map(shifted).collect()
}

/// `y` for a wrapped sum of products that includes the bias, see [`Requantise::apply`].
#[inline(always)]
pub(super) fn requantised(of: &Requantise, sum: i32) -> u8 {
    let scaled = ((i64::from(sum) * i64::from(of.multiplier)) >> 32) as i32;
    ((scaled + of.offset) >> of.shift).clamp(0, 255) as u8
}
