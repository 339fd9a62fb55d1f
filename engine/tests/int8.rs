//! The int8 network against the device's code, byte for byte, on every instruction set of this processor.

use std::path::Path;

use macula_edge::encoder::{Arithmetic, Blob, Encoder};
use macula_engine::Isa;
use macula_engine::int8::{Int8Error, Int8Network};

#[allow(dead_code, unreachable_pub)]
#[path = "../../edge/tests/common/blob.rs"]
mod blob;
use blob::{Lcg, Net, Op, aligned};
#[path = "common/int8_network.rs"]
mod int8_network;
use int8_network::network;

/// Values and feature of the device's code.
fn expected(blob: &Blob<'_>, pixels: &[u8]) -> (Vec<Vec<u8>>, Vec<f32>) {
    let mut arena = vec![0; blob.arena_words()];
    let mut feature = vec![0.0; blob.dim()];
    let mut values = Vec::new();
    let mut observe = |value: usize, words: &[u32]| {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        values.push(bytes.take(blob.value(value).values()).collect());
    };
    blob.encode_observed(pixels, &mut arena, &mut feature, &mut observe).unwrap();
    (values, feature)
}

/// Compares all values and the feature of `images` images.
fn compare(bytes: &[u8], images: u64, what: &str) {
    let words = aligned(bytes);
    let blob = Blob::parse(bytemuck::cast_slice(&words)).unwrap();
    for isa in Isa::available() {
        let mut network = Int8Network::new(&blob, isa).unwrap();
        for seed in 0..images {
            let mut lcg = Lcg(seed);
            // Noise, then images of few extreme values.
            let byte = |_| if seed % 2 == 0 { lcg.below(256) as u8 } else { [0, 255][lcg.below(2) as usize] };
            let pixels: Vec<u8> = (0..network.pixels_len()).map(byte).collect();
            let (values, feature) = expected(&blob, &pixels);
            let mut found = vec![f32::NAN; blob.dim()];
            let mut observe = |value: usize, bytes: &[u8]| {
                let differs = bytes.iter().zip(&values[value]).position(|(a, b)| a != b);
                let at = differs.map(|at| (at, bytes[at], values[value][at]));
                assert_eq!(at, None, "{what}, {}, image {seed}, value {value}", isa.name());
            };
            network.encode_observed(&pixels, &mut found, &mut observe).unwrap();
            let bits = |feature: &[f32]| feature.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&feature), "{what}, {}, image {seed}", isa.name());
            found.fill(f32::NAN);
            network.encode(&pixels, &mut found).unwrap();
            assert_eq!(bits(&found), bits(&feature), "{what}, {}, image {seed}, again", isa.name());
        }
    }
}

#[test]
fn shipped_encoders_have_the_bytes_of_the_device() {
    for model in ["grey-64", "colour-64"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../models/{model}/chip/encoder.int8.blob"));
        compare(&std::fs::read(path).unwrap(), 3, model);
    }
}

/// Every kind of layer and both strides, sides that no tile divides, one and three channels, with and without readout.
#[test]
fn random_encoders_have_the_bytes_of_the_device() {
    let inputs = [[28, 28, 1], [13, 9, 3], [8, 8, 3], [5, 17, 1], [16, 12, 3], [1, 1, 1]];
    for (seed, input) in (0..).zip(inputs) {
        let mut net = Net::random(Arithmetic::Int8, input, seed);
        compare(&net.blob(), 4, &format!("{input:?}"));
        // Without the weight -128, for which some kernels leave a layer to others.
        let weights = net.layers.iter_mut().flat_map(|layer| layer.weights.iter_mut().flatten());
        weights.filter(|weight| **weight == 128).for_each(|weight| *weight = 129);
        compare(&net.blob(), 4, &format!("{input:?} without -128"));
        for dim in [0, 10] {
            let net = Net::random(Arithmetic::Int8, input, seed + 10).with_readout(dim, seed);
            compare(&net.blob(), 2, &format!("{input:?} with a readout of {dim}"));
        }
    }
}

/// A network of wide layers.
fn wide(input: [usize; 3], seed: u64) -> Net {
    let shape = &[
        (Op::Conv3x3, 1, 0, 0, 16),
        (Op::Conv3x3, 1, 1, 0, 32),
        (Op::Conv3x3, 1, 2, 0, 32),
        (Op::Add, 0, 2, 3, 32),
        (Op::Conv3x3, 2, 4, 0, 48),
        (Op::Conv3x3, 1, 5, 0, 24),
        (Op::Conv1x1, 1, 6, 0, 32),
        (Op::Depthwise3x3, 1, 7, 0, 32),
        (Op::Conv1x1, 2, 8, 0, 64),
        (Op::Conv3x3, 1, 9, 0, 16),
    ];
    network(shape, input, seed)
}

/// Channels that fill the widest tiles, on sides that no tile divides.
#[test]
fn wide_encoders_have_the_bytes_of_the_device() {
    let inputs = [[28, 28, 1], [13, 9, 3], [3, 7, 3], [4, 4, 1], [1, 1, 3], [2, 31, 3]];
    for (seed, input) in (0..).zip(inputs) {
        compare(&wide(input, seed).blob(), 4, &format!("wide {input:?}"));
    }
}

/// 2304 products of the largest value with equal weights: just below and above the sums that Winograd's kernels restore,
/// 2^25, with values of 255 and, stored minus 128, of 127 or -128.
#[test]
fn largest_sums_have_the_bytes_of_the_device() {
    for weight in [56, 57, 58, 112, 113, 114, 127] {
        for value in [0, 255] {
            let mut net = network(&[(Op::Conv3x3, 1, 0, 0, 256), (Op::Conv3x3, 1, 1, 0, 16)], [6, 5, 1], 1);
            let shift = net.layers[0].parameters[0][3];
            net.layers[0].zero = value;
            net.layers[0].weights.iter_mut().flatten().for_each(|weight| *weight = 0);
            net.layers[0].parameters.iter_mut().for_each(|of| *of = vec![0, 0, u32::from(value) << shift, shift]);
            for (channel, weights) in net.layers[1].weights.iter_mut().enumerate() {
                let signed = if channel % 2 == 0 { weight } else { -weight };
                weights.iter_mut().for_each(|weight| *weight = signed as i8 as u8 as u16);
            }
            // The largest multiplier and shift map 2^25 to a byte.
            let offset = 100 << 18;
            let parameters = net.layers[1].parameters.iter_mut().enumerate();
            parameters.for_each(|(channel, of)| *of = vec![channel as u32 * 1000, (1 << 31) - 1, offset, 18]);
            compare(&net.blob(), 1, &format!("weights of {weight}, values of {value}"));
        }
    }
}

/// Sums whose parts nearly fill 32 bits, and whose result lies far outside of a byte.
#[test]
fn extreme_sums_have_the_bytes_of_the_device() {
    for sum in [[1 << 22, -(1 << 22), -8_000_000, 21], [100, 50, -2_147_400_000, 21], [100, 50, 2_147_400_000, 1]] {
        let mut net = wide([8, 8, 1], 3);
        net.layers.iter_mut().filter(|layer| layer.op as u8 == Op::Add as u8).for_each(|layer| layer.sum = sum);
        compare(&net.blob(), 2, &format!("sum {sum:?}"));
    }
}

/// Blobs of the paths in `INT8_BLOBS`, separated by colons.
#[test]
fn given_encoders_have_the_bytes_of_the_device() {
    for path in std::env::var("INT8_BLOBS").unwrap_or_default().split(':').filter(|path| !path.is_empty()) {
        compare(&std::fs::read(path).unwrap(), 2, path);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let words = aligned(&Net::random(Arithmetic::F16, [8, 8, 1], 1).blob());
    let blob = Blob::parse(bytemuck::cast_slice(&words)).unwrap();
    assert_eq!(Int8Network::new(&blob, Isa::best()).err(), Some(Int8Error::Arithmetic));
    let words = aligned(&Net::random(Arithmetic::Int8, [8, 8, 1], 1).blob());
    let blob = Blob::parse(bytemuck::cast_slice(&words)).unwrap();
    let mut network = Int8Network::new(&blob, Isa::best()).unwrap();
    let mut feature = vec![0.0; blob.info().dim];
    let short = Err(Int8Error::Length { what: "pixels", found: 63, expected: 64 });
    assert_eq!(network.encode(&[0; 63], &mut feature), short);
    let long = Err(Int8Error::Length { what: "feature", found: blob.dim() - 1, expected: blob.dim() });
    assert_eq!(network.encode(&[0; 64], &mut feature[1..]), long);
}
