//! Generated blobs: compared with a slow reference, with one hash on every CPU, and damaged in many ways.

mod common;

use common::blob::{Layer, Lcg, Net, Op, aligned, seal};
use macula_edge::encoder::format::{
    ARENA_WORDS_AT, ARITHMETIC_AT, CHANNELS_AT, CHECKSUM_LEN, HEADER_LEN, NODE_CHANNELS_AT, NODE_INPUT_AT, NODE_LEN,
    NODE_OP_AT, NODE_OUTPUT_WORD_AT, NODE_STRIDE_AT, NODE_SUM_AT, NODE_WEIGHTS_AT, SectionKind, VERSION_AT, u32_at,
};
use macula_edge::encoder::{Arithmetic, Blob, BlobError, EncodeError, Encoder, encode_image};
use macula_edge::image::RawImage;
use sha2::{Digest, Sha256};

const INPUTS: [[usize; 3]; 4] = [[9, 7, 3], [8, 8, 1], [1, 5, 3], [12, 16, 1]];

fn pixels(shape: [usize; 3], lcg: &mut Lcg) -> Vec<u8> {
    (0..shape.iter().product()).map(|_| lcg.below(256) as u8).collect()
}

fn bytes(words: &[u32]) -> &[u8] {
    bytemuck::cast_slice(words)
}

/// Every value that the device computes from `pixels`, as words of the arena, and the feature.
fn device(net: &Net, pixels: &[u8]) -> (Vec<Vec<u32>>, Vec<f32>) {
    device_with(net, pixels, |_| 0)
}

/// The same with words besides those needed; `more` is given the number that makes it faster.
fn device_with(net: &Net, pixels: &[u8], more: impl Fn(usize) -> usize) -> (Vec<Vec<u32>>, Vec<f32>) {
    let words = aligned(&net.blob());
    let blob = Blob::parse(bytes(&words)).unwrap();
    // Not 0, to expose reads before writes.
    let mut arena = vec![0xdead_beef; blob.arena_words() + more(blob.extra_words())];
    let (mut values, mut feature) = (Vec::new(), vec![0.0; blob.dim()]);
    blob.encode_observed(pixels, &mut arena, &mut feature, &mut |_, words| values.push(words.to_vec())).unwrap();
    (values, feature)
}

/// The inputs of the output at `row`, `column`: the index of the element read per tap and channel, `None` outside.
fn read(from: [usize; 3], layer: &Layer, row: usize, column: usize, o: usize) -> Vec<Option<usize>> {
    let kernel = if layer.op == Op::Conv1x1 { 1 } else { 3 };
    let channels = if layer.op == Op::Depthwise3x3 { o..o + 1 } else { 0..from[2] };
    let mut read = Vec::new();
    for tap in 0..kernel * kernel {
        let y = (row * layer.stride + tap / kernel).checked_sub(kernel / 2).filter(|&y| y < from[0]);
        let x = (column * layer.stride + tap % kernel).checked_sub(kernel / 2).filter(|&x| x < from[1]);
        for channel in channels.clone() {
            read.push(y.zip(x).map(|(y, x)| (y * from[1] + x) * from[2] + channel));
        }
    }
    read
}

/// The int8 network by definition, in 64-bit integers.
fn reference_int8(net: &Net, pixels: &[u8]) -> Vec<Vec<u8>> {
    let shapes = net.shapes();
    let mut values = vec![pixels.to_vec()];
    for (index, layer) in net.layers.iter().enumerate() {
        let (from, [rows, columns, channels]) = (shapes[layer.input], shapes[index + 1]);
        let input = &values[layer.input];
        let outside = if layer.input == 0 { 120 } else { net.layers[layer.input - 1].zero };
        let clamp = |x: i64| x.clamp(0, 255) as u8;
        let mut made = Vec::new();
        for at in 0..rows * columns * channels {
            let (row, column, o) = (at / channels / columns, at / channels % columns, at % channels);
            if layer.op == Op::Add {
                let [ml, mr, offset, shift] = layer.sum.map(i64::from);
                let right = i64::from(values[layer.right][at]);
                made.push(clamp((i64::from(input[at]) * ml + right * mr + offset) >> shift));
                continue;
            }
            let [bias, multiplier, offset, shift] = [0, 1, 2, 3].map(|i| i64::from(layer.parameters[o][i] as i32));
            let products = read(from, layer, row, column, o).into_iter().zip(&layer.weights[o]);
            let sum: i64 = products
                .map(|(at, &weight)| i64::from(at.map_or(outside, |at| input[at])) * i64::from(weight as u8 as i8))
                .sum();
            made.push(clamp(((((sum + bias) * multiplier) >> 32) + offset) >> shift));
        }
        values.push(made);
    }
    values
}

/// The f16 network in f64, without the rounding of each step.
fn reference_f16(net: &Net, pixels: &[u8]) -> Vec<Vec<f64>> {
    let half = |bits: u16| {
        let magnitude = (1.0 + f64::from(bits & 0x3ff) / 1024.0) * 2f64.powi(i32::from(bits >> 10 & 31) - 15);
        if bits >> 15 == 1 { -magnitude } else { magnitude }
    };
    let shapes = net.shapes();
    let normalised = |(i, &pixel): (usize, &u8)| f64::from(pixel) * (0.015 + 0.002 * (i % net.input[2]) as f64) - 1.9;
    let mut values: Vec<Vec<f64>> = vec![pixels.iter().enumerate().map(normalised).collect()];
    for (index, layer) in net.layers.iter().enumerate() {
        let (from, [rows, columns, channels]) = (shapes[layer.input], shapes[index + 1]);
        let input = &values[layer.input];
        let of = |at: usize| {
            let (row, column, o) = (at / channels / columns, at / channels % columns, at % channels);
            let sum = match layer.op {
                Op::Add => input[at] + values[layer.right][at],
                _ => {
                    let products = read(from, layer, row, column, o).into_iter().zip(&layer.weights[o]);
                    let sum = products.map(|(at, &weight)| at.map_or(0.0, |at| input[at] * half(weight))).sum::<f64>();
                    sum + f64::from(f32::from_bits(layer.parameters[o][0]))
                }
            };
            match layer.activation {
                0 => sum,
                1 => sum.max(0.0),
                _ => sum.clamp(0.0, 6.0),
            }
        };
        let made = (0..rows * columns * channels).map(of).collect();
        values.push(made);
    }
    values
}

#[test]
fn int8_equals_its_definition_exactly() {
    for (seed, input) in INPUTS.into_iter().enumerate() {
        let net = Net::random(Arithmetic::Int8, input, seed as u64);
        let pixels = pixels(input, &mut Lcg(seed as u64 + 100));
        let (found, feature) = device(&net, &pixels);
        let expected = reference_int8(&net, &pixels);
        for (value, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(&bytes(found)[..expected.len()], expected, "value {value} of {input:?}");
            let mut levels = expected.clone();
            levels.sort_unstable();
            levels.dedup();
            assert!(levels.len() > expected.len().min(64) / 8, "value {value} of {input:?} hardly varies: {levels:?}");
        }
        let last = &expected[expected.len() - 1];
        let dim = feature.len();
        for (d, found) in feature.iter().enumerate() {
            let sum: f64 = last.iter().skip(d).step_by(dim).map(|&q| f64::from(q) - 128.0).sum();
            let expected = 0.05 * sum / (last.len() / dim) as f64;
            assert!((f64::from(*found) - expected).abs() < 1e-5, "dimension {d} of {input:?}: {found}, {expected}");
        }
    }
}

/// The second convolution, 3×3 of stride 1, is computed directly or in tiles, and more tiles at a time with more memory.
#[test]
fn int8_values_do_not_depend_on_the_memory_lent() {
    for (seed, input) in INPUTS.into_iter().enumerate() {
        let mut net = Net::random(Arithmetic::Int8, input, seed as u64);
        net.layers[0].zero = 77;
        let pixels = pixels(input, &mut Lcg(seed as u64 + 100));
        let expected = reference_int8(&net, &pixels);
        for part in 0..=8 {
            let more = |extra: usize| {
                assert!(extra > 0, "the scratch of the blob has no room for tiles of {input:?}");
                extra * part / 4
            };
            let (found, feature) = device_with(&net, &pixels, more);
            for (value, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(&bytes(found)[..expected.len()], expected, "value {value} of {input:?}, part {part}");
            }
            assert_eq!(feature, device(&net, &pixels).1, "{input:?}, part {part}");
        }
    }
}

#[test]
fn f16_equals_its_definition_up_to_rounding() {
    for (seed, input) in INPUTS.into_iter().enumerate() {
        let net = Net::random(Arithmetic::F16, input, seed as u64);
        let pixels = pixels(input, &mut Lcg(seed as u64 + 100));
        let (found, _) = device(&net, &pixels);
        for (value, (found, expected)) in found.iter().zip(&reference_f16(&net, &pixels)).enumerate() {
            let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            assert!(largest > 0.01, "value {value} of {input:?} is blank");
            for (found, expected) in found.iter().zip(expected) {
                let found = f64::from(f32::from_bits(*found));
                assert!((found - expected).abs() < 1e-5 * largest, "value {value} of {input:?}: {found}, {expected}");
            }
        }
    }
}

/// A changed hash means changed arithmetic: features would no longer match the supports stored on devices.
#[test]
fn features_have_the_same_bytes_on_every_cpu() {
    for (arithmetic, expected) in [
        (Arithmetic::Int8, "521bc2e0f4bda4860161ba9a99877649e47c7d38d0d480104350c6ffc475a3ef"),
        (Arithmetic::F16, "047a2598caaaf8046b1580401a08453cb2f29b0668926510f508bf9ad0c55f08"),
    ] {
        let mut hash = Sha256::new();
        for (seed, input) in INPUTS.into_iter().enumerate() {
            let net = Net::random(arithmetic, input, 50 + seed as u64);
            let words = aligned(&net.blob());
            let blob = Blob::parse(bytes(&words)).unwrap();
            let mut work = vec![7; blob.info().work_words() + 4096];
            let (mut values, mut feature) = (vec![0.0; blob.dim()], vec![0; blob.dim()]);
            let mut lcg = Lcg(seed as u64);
            for _ in 0..5 {
                let image = pixels(input, &mut lcg);
                let raw = RawImage::new(input[1], input[0], input[2], &image).unwrap();
                encode_image(&blob, &raw, &mut work, &mut feature).unwrap();
                feature.iter().for_each(|value| hash.update(value.to_le_bytes()));
                blob.encode(&image, &mut work, &mut values).unwrap();
                values.iter().for_each(|value| hash.update(value.to_le_bytes()));
            }
        }
        let found = base16ct::lower::encode_string(&hash.finalize());
        assert_eq!(found, expected, "{arithmetic:?}");
    }
}

#[test]
fn an_image_of_another_size_is_resized_and_converted() {
    let net = Net::random(Arithmetic::F16, [12, 16, 1], 1);
    let words = aligned(&net.blob());
    let blob = Blob::parse(bytes(&words)).unwrap();
    let mut work = vec![0; blob.info().work_words()];
    let mut encode = |image: &RawImage<'_>, feature: &mut [i16]| encode_image(&blob, image, &mut work, feature);
    let (mut small, mut large) = ([0; 16], [0; 16]);
    // A colour image of 2×2 blocks, shrunk to half, is close to the image with one pixel per block.
    let grey = pixels([12, 16, 1], &mut Lcg(4));
    let smooth: Vec<u8> =
        (0..12 * 16).map(|i| (8 * (i / 16) + 9 * (i % 16) + usize::from(grey[i]) / 16) as u8).collect();
    let colour: Vec<u8> = (0..24 * 32).flat_map(|i| [smooth[i / 32 / 2 * 16 + i % 32 / 2]; 3]).collect();
    encode(&RawImage::new(16, 12, 1, &smooth).unwrap(), &mut small).unwrap();
    encode(&RawImage::new(32, 24, 3, &colour).unwrap(), &mut large).unwrap();
    let dot = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let cosine = dot(&small, &large) / (dot(&small, &small) * dot(&large, &large)).sqrt();
    assert!(cosine > 0.98, "{cosine}");
    assert!(encode(&RawImage::new(16, 12, 1, &smooth).unwrap(), &mut [0; 15]).is_err(), "a feature of 16");
}

fn refusal(bytes_of: &[u8]) -> BlobError {
    let words = aligned(bytes_of);
    Blob::parse(&bytes(&words)[..bytes_of.len()]).err().expect("this blob must be refused")
}

#[test]
fn every_fault_of_a_blob_has_its_error() {
    let net = Net::random(Arithmetic::Int8, [8, 8, 1], 1);
    let good = net.blob();
    let words = aligned(&good);
    assert!(Blob::parse(bytes(&words)).is_ok());
    for len in 0..good.len() {
        let short = refusal(&good[..len]);
        assert!(matches!(short, BlobError::Truncated { .. }), "{len} bytes: {short}");
    }
    for bit in (0..good.len() * 8).step_by(13) {
        let mut damaged = good.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        refusal(&damaged);
    }
    let mut shifted = vec![0; 1];
    shifted.extend(&good);
    let words = aligned(&shifted);
    assert_eq!(Blob::parse(&bytes(&words)[1..]).err(), Some(BlobError::Misaligned));

    let with = |at: usize, part: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + part.len()].copy_from_slice(part);
        seal(&mut changed);
        refusal(&changed)
    };
    let nodes = u32_at(&good, SectionKind::Nodes.entry_at()) as usize;
    let node = |index: usize, at: usize| nodes + NODE_LEN * index + at;
    assert_eq!(with(0, b"XCLB"), BlobError::NotABlob { found: *b"XCLB" });
    assert_eq!(with(VERSION_AT, &[3]), BlobError::Version { found: 3 });
    assert_eq!(with(ARITHMETIC_AT, &[3]), BlobError::Header { what: "arithmetic", found: 3, limit: 2 });
    assert_eq!(with(CHANNELS_AT, &[2]), BlobError::Header { what: "channel count", found: 2, limit: 3 });
    assert!(matches!(with(ARENA_WORDS_AT, &[9, 0, 0, 0]), BlobError::Header { what: "arena", found: 9, .. }));
    assert!(matches!(
        with(SectionKind::Statistics.entry_at(), &[0xff; 4]),
        BlobError::Section { what: "statistics", .. }
    ));
    let at = |index, what, found, limit| BlobError::Node { node: index, what, found, limit };
    assert_eq!(with(node(1, NODE_OP_AT), &[5]), at(1, "operation", 5, 4));
    assert_eq!(with(node(1, NODE_STRIDE_AT), &[3]), at(1, "stride", 3, 2));
    assert_eq!(with(node(1, NODE_INPUT_AT), &[2]), at(1, "value read", 2, 1));
    assert_eq!(with(node(1, NODE_CHANNELS_AT), &[12]), at(1, "channel count modulo 8", 4, 0));
    assert!(matches!(
        with(node(1, NODE_WEIGHTS_AT), &[0xfc; 4]),
        BlobError::Node { node: 1, what: "place of the weights", .. }
    ));
    assert!(matches!(
        with(node(2, NODE_SUM_AT + 12), &[22]),
        BlobError::Node { node: 2, what: "requantisation of a sum", .. }
    ));
    // The second convolution writes where it reads.
    let place = net.layers[0].place.to_le_bytes();
    assert_eq!(with(node(1, NODE_OUTPUT_WORD_AT), &place), BlobError::Overlap { node: 1, value: 1 });

    let words = aligned(&good);
    let blob = Blob::parse(bytes(&words)).unwrap();
    let (needed, mut feature) = (blob.arena_words(), vec![0.0; blob.dim()]);
    let small = blob.encode(&[0; 64], &mut vec![0; needed - 1], &mut feature);
    assert_eq!(small, Err(EncodeError::Memory { found: needed - 1, needed }));
    assert_eq!(blob.encode(&[0; 64], &mut vec![0; needed], &mut feature), Ok(()));
}

/// Random bytes, and blobs with a few bytes changed and the checksum corrected, are refused or run without a fault.
#[test]
fn no_bytes_cause_a_panic() {
    let mut lcg = Lcg(1);
    for len in 0..2000 {
        let mut random: Vec<u8> = (0..len % 300).map(|_| lcg.bits() as u8).collect();
        if len % 2 == 0 {
            random.iter_mut().zip(*b"MCLB\x01\0").for_each(|(byte, start)| *byte = start);
        }
        refusal(&random);
    }
    let (mut ran, mut refused) = (0, 0);
    for round in 0..2400u64 {
        let arithmetic = if round % 2 == 0 { Arithmetic::Int8 } else { Arithmetic::F16 };
        let mut changed = Net::random(arithmetic, [4, 5, 1 + 2 * (round as usize / 2 % 2)], round / 100).blob();
        let nodes = u32_at(&changed, SectionKind::Nodes.entry_at()) as usize;
        for _ in 0..1 + lcg.below(3) {
            // Header and nodes are changed more often than their share of bytes; most bytes are weights.
            let at = match lcg.below(4) {
                0 => lcg.below(HEADER_LEN as u32) as usize,
                1 | 2 => nodes + lcg.below(8 * NODE_LEN as u32) as usize,
                _ => lcg.below((changed.len() - CHECKSUM_LEN) as u32) as usize,
            };
            changed[at] = if lcg.below(2) == 0 { lcg.bits() as u8 } else { changed[at] ^ 1 << lcg.below(8) };
        }
        seal(&mut changed);
        let words = aligned(&changed);
        let Ok(blob) = Blob::parse(bytes(&words)) else {
            refused += 1;
            continue;
        };
        // An accepted blob may need more memory than this test has.
        if blob.arena_words() > 1 << 20 {
            continue;
        }
        let mut work = vec![0; blob.info().work_words()];
        let image =
            pixels([blob.input().height.into(), blob.input().width.into(), blob.input().channels.into()], &mut lcg);
        blob.encode(&image, &mut work, &mut vec![0.0; blob.dim()]).unwrap();
        // A feature of length 0 or not finite is an error, not a fault.
        let _ = encode_image(&blob, &RawImage::new(3, 2, 3, &[99; 18]).unwrap(), &mut work, &mut vec![0; blob.dim()]);
        ran += 1;
    }
    assert!(ran > 200 && refused > 200, "{ran} ran, {refused} were refused");
}
