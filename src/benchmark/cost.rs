//! What an encoder costs beside its accuracy.

use std::time::{Duration, Instant};

use crate::encoder::{EncoderSpec, HostEncoder, InputShape};
use crate::encoders;

/// Time over which an image is encoded again and again.
const MEASURED: Duration = Duration::from_millis(300);

/// Fewest and most repetitions in that time.
const REPETITIONS: std::ops::RangeInclusive<usize> = 3..=1000;

/// Bytes of a support on flash beside its feature: source, operator and time, the record's header and its mark, for writes of
/// 8 bytes (`docs/store-format.md`).
const SUPPORT_BYTES: usize = 28 + 8 + 8;
const UNIT_BYTES: usize = 8;

/// Cost of one image and of one support.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct EncoderCost {
    /// The encoder's label in the table.
    pub encoder: String,
    /// Channels, rows and columns of its input.
    pub input: [usize; 3],
    /// Multiply-accumulates of convolutions and matrix products, where the network is known.
    pub multiply_accumulates: Option<u64>,
    /// Weights, where the network is known.
    pub parameters: Option<u64>,
    /// Peak bytes of f32 activations, where the network is one of Macula's.
    pub activation_bytes: Option<u64>,
    /// Values of a feature.
    pub feature_dim: usize,
    /// Bytes that a support takes on a device's flash.
    pub support_bytes: usize,
    /// Milliseconds for one image on one thread of this machine: the shortest of several runs, input normalisation included,
    /// decoding and resizing not.
    pub milliseconds: f64,
}

impl EncoderCost {
    /// The cost of `encoder`, which was opened by `name` and is called `label`.
    pub fn of(label: &str, name: &str, encoder: &dyn HostEncoder) -> Self {
        let recipe = encoder.preprocessing();
        let network = network(name, encoder);
        let feature_dim = encoder.feature_dim();
        Self {
            encoder: label.to_owned(),
            input: [recipe.channels, recipe.height, recipe.width],
            multiply_accumulates: network.map(|network| network.products),
            parameters: network.map(|network| network.parameters),
            activation_bytes: network.and_then(|network| network.activation_bytes),
            feature_dim,
            support_bytes: (SUPPORT_BYTES + 2 * feature_dim).next_multiple_of(UNIT_BYTES),
            milliseconds: milliseconds(encoder),
        }
    }
}

/// Facts about a network.
#[derive(Clone, Copy)]
struct Known {
    products: u64,
    parameters: u64,
    activation_bytes: Option<u64>,
}

fn network(name: &str, encoder: &dyn HostEncoder) -> Option<Known> {
    let recipe = encoder.preprocessing();
    if encoders::Baseline::FLOORS.contains(&name) {
        return Some(Known { products: 0, parameters: 0, activation_bytes: Some(0) });
    }
    let spec = match encoders::open_run(name) {
        Ok(run) => Some(run.network.spec().clone()),
        Err(_) if encoders::is_fitted(name) => {
            let input = InputShape { channels: recipe.channels, height: recipe.height, width: recipe.width };
            EncoderSpec::preset(encoders::preset_of(name)?, input).ok()
        }
        Err(_) => None,
    };
    match spec {
        Some(spec) => spec.cost().ok().map(|cost| Known {
            products: cost.macs,
            parameters: cost.parameters,
            activation_bytes: Some(cost.activation_bytes),
        }),
        None => onnx(name, encoder),
    }
}

#[cfg(feature = "onnx")]
fn onnx(name: &str, encoder: &dyn HostEncoder) -> Option<Known> {
    let cost = crate::runtime::cost_of(&encoders::onnx_file(name).ok()?, encoder.preprocessing()).ok()?;
    Some(Known { products: cost.multiply_accumulates, parameters: cost.parameters, activation_bytes: None })
}

#[cfg(not(feature = "onnx"))]
fn onnx(_: &str, _: &dyn HostEncoder) -> Option<Known> {
    None
}

/// The shortest time for one image, on one thread.
fn milliseconds(encoder: &dyn HostEncoder) -> f64 {
    let len = encoder.preprocessing().input_len();
    let pixels: Vec<u8> = (0..len).map(|at| (at * 7 % 256) as u8).collect();
    let measure = || {
        let begun = Instant::now();
        let mut shortest = f64::INFINITY;
        for repetition in 0..*REPETITIONS.end() {
            if repetition >= *REPETITIONS.start() && begun.elapsed() > MEASURED {
                break;
            }
            let started = Instant::now();
            if encoder.encode_batch(&pixels).is_err() {
                return f64::NAN;
            }
            shortest = shortest.min(started.elapsed().as_secs_f64());
        }
        1e3 * shortest
    };
    // Without a pool of its own the measurement would use all threads.
    rayon::ThreadPoolBuilder::new().num_threads(1).build().map_or(f64::NAN, |pool| pool.install(measure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Preprocessing;
    use crate::evaluate::{RandomEncoder, RawPixels};

    #[test]
    fn costs_are_those_of_the_network_and_of_the_store() {
        let random = RandomEncoder::uncalibrated(crate::encoder::Preset::Nano, 1).unwrap();
        let cost = EncoderCost::of("x", "random:nano", &random);
        let recipe = random.preprocessing();
        let input = InputShape { channels: recipe.channels, height: recipe.height, width: recipe.width };
        let expected = EncoderSpec::preset(crate::encoder::Preset::Nano, input).unwrap().cost().unwrap();
        assert_eq!((cost.multiply_accumulates, cost.parameters), (Some(expected.macs), Some(expected.parameters)));
        assert_eq!(cost.activation_bytes, Some(expected.activation_bytes));
        assert!(cost.milliseconds > 0.0 && cost.milliseconds < 1000.0);
        let pixels = EncoderCost::of("x", "raw-pixels", &RawPixels::new(Preprocessing::unit(1, 8, 16)));
        assert_eq!((pixels.multiply_accumulates, pixels.feature_dim), (Some(0), 128));
        // docs/store-format.md: 304 bytes for D = 128.
        assert_eq!(pixels.support_bytes, 304);
    }
}
