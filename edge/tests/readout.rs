//! Readouts of generated blobs: compared with their definition in f64, and damaged in many ways.

mod common;

use common::blob::{Lcg, Net, Readout, aligned, seal};
use macula_edge::encoder::format::{
    ARENA_WORDS_AT, DIM_AT, HEADER_LEN, MAP_ROW_LEN, POOLED_LEN, READOUT_COUNT_AT, READOUT_EPS_AT, READOUT_MAP_AT,
    READOUT_VALUES_AT, SectionKind, VERSION_AT, u32_at,
};
use macula_edge::encoder::{Arithmetic, Blob, BlobError, Encoder};

/// Even, odd and single rows and columns.
const INPUTS: [[usize; 3]; 4] = [[9, 7, 3], [8, 8, 1], [1, 5, 3], [12, 16, 1]];

fn parse(words: &[u32], len: usize) -> Result<Blob<'_>, BlobError> {
    Blob::parse(&bytemuck::cast_slice(words)[..len])
}

/// Every value as numbers `[rows, columns, channels]`, and the feature. `unit` and zero point belong to the last value
/// computed by the caller's formula, so int8 values are given as stored.
fn run(net: &Net, pixels: &[u8]) -> (Vec<Vec<f64>>, Vec<f32>) {
    let bytes = net.blob();
    let words = aligned(&bytes);
    let blob = parse(&words, bytes.len()).unwrap();
    let lens: Vec<usize> = net.shapes().iter().map(|shape| shape.iter().product()).collect();
    let mut arena = vec![0xdead_beef; blob.arena_words()];
    let (mut values, mut feature) = (Vec::new(), vec![f32::NAN; blob.dim()]);
    blob.encode_observed(pixels, &mut arena, &mut feature, &mut |index, words| {
        let numbers: Vec<f64> = match net.arithmetic {
            Arithmetic::F16 => words.iter().map(|&word| f64::from(f32::from_bits(word))).collect(),
            Arithmetic::Int8 => bytemuck::cast_slice::<u32, u8>(words).iter().map(|&byte| f64::from(byte)).collect(),
        };
        values.push(numbers[..lens[index]].to_vec());
    })
    .unwrap();
    (values, feature)
}

/// The pooled numbers by definition, and then the feature, in f64.
fn expected(net: &Net, readout: &Readout, values: &[Vec<f64>]) -> Vec<f64> {
    let shapes = net.shapes();
    let mut pooled = Vec::new();
    for &(value, parts, unit) in &readout.values {
        let [rows, columns, channels] = shapes[value];
        let zero = if net.arithmetic == Arithmetic::Int8 { net.layers[value - 1].zero } else { 0 };
        let number = |row: usize, column: usize, channel: usize| {
            f64::from(unit) * (values[value][(row * columns + column) * channels + channel] - f64::from(zero))
        };
        let mean_of = |[top, bottom, left, right]: [usize; 4], channel: usize, power: i32| {
            let area = (top..bottom).flat_map(|row| (left..right).map(move |column| (row, column)));
            let sum: f64 = area.map(|(row, column)| number(row, column, channel).powi(power)).sum();
            sum / ((bottom - top) * (right - left)) as f64
        };
        let whole = [0, rows, 0, columns];
        pooled.extend((0..channels).map(|channel| mean_of(whole, channel, 1)));
        if parts & 2 != 0 {
            let variance = |channel| mean_of(whole, channel, 2) - mean_of(whole, channel, 1).powi(2);
            pooled.extend((0..channels).map(|channel| (variance(channel) + f64::from(readout.eps)).sqrt()));
        }
        if parts & 4 != 0 {
            let halves = |side: usize| [[0, side.div_ceil(2)], [side / 2, side]];
            for [top, bottom] in halves(rows) {
                for [left, right] in halves(columns) {
                    pooled.extend((0..channels).map(|channel| mean_of([top, bottom, left, right], channel, 1)));
                }
            }
        }
    }
    if readout.map.is_empty() {
        return pooled;
    }
    let row = |(scale, bias, weights): &(f32, f32, Vec<u16>)| {
        let sum: f64 = weights.iter().zip(&pooled).map(|(&weight, number)| half(weight) * number).sum();
        f64::from(*scale) * sum + f64::from(*bias)
    };
    readout.map.iter().map(row).collect()
}

/// A normal f16.
fn half(bits: u16) -> f64 {
    let magnitude = (1.0 + f64::from(bits & 0x3ff) / 1024.0) * 2f64.powi(i32::from(bits >> 10 & 31) - 15);
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[test]
fn features_equal_their_definition_up_to_rounding() {
    for arithmetic in [Arithmetic::Int8, Arithmetic::F16] {
        for (seed, input) in INPUTS.into_iter().enumerate() {
            // Without a map; with one block of eight dimensions and a part of the next; with whole blocks.
            for dim in [0, 11, 16] {
                let net = Net::random(arithmetic, input, seed as u64).with_readout(dim, seed as u64 + 9);
                let mut lcg = Lcg(seed as u64 + 100);
                let pixels: Vec<u8> = (0..input.iter().product()).map(|_| lcg.below(256) as u8).collect();
                let (values, feature) = run(&net, &pixels);
                let expected = expected(&net, net.readout.as_ref().unwrap(), &values);
                assert_eq!(feature.len(), expected.len());
                let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
                assert!(largest > 0.1, "{arithmetic:?} {input:?} {dim}: a blank feature");
                for (d, (&found, expected)) in feature.iter().zip(&expected).enumerate() {
                    let error = (f64::from(found) - expected).abs();
                    assert!(error < 1e-4 * largest, "{arithmetic:?} {input:?} {dim}, {d}: {found}, {expected}");
                }
            }
        }
    }
}

fn refusal(bytes: &[u8]) -> BlobError {
    let words = aligned(bytes);
    parse(&words, bytes.len()).err().expect("this blob must be refused")
}

#[test]
fn every_fault_of_a_readout_has_its_error() {
    let net = Net::random(Arithmetic::Int8, [8, 8, 1], 1).with_readout(11, 2);
    let good = net.blob();
    let words = aligned(&good);
    let blob = parse(&words, good.len()).unwrap();
    assert_eq!((blob.dim(), blob.readout().values().len()), (11, 5));
    let pooled = blob.readout().pooled();
    assert_eq!(pooled, 8 * 2 + 8 + 8 * 2 + 24 * 2 + 16 * 6, "channels and parts by hand");
    for bit in (0..good.len() * 8).step_by(17) {
        let mut damaged = good.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        refusal(&damaged);
    }

    let with = |at: usize, part: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + part.len()].copy_from_slice(part);
        seal(&mut changed);
        refusal(&changed)
    };
    let entry = SectionKind::Readout.entry_at();
    let [section, len] = [0, 4].map(|field| u32_at(&good, entry + field));
    let at = |offset: usize| section as usize + offset;
    let value = |index: usize, field: usize| at(READOUT_VALUES_AT + POOLED_LEN * index + field);
    let fault = |what, found, limit| BlobError::Readout { what, found, limit };
    assert_eq!(with(at(READOUT_COUNT_AT), &[0]), fault("number of pooled values", 0, 1));
    assert_eq!(with(at(READOUT_COUNT_AT), &[17]), fault("number of pooled values", 17, 16));
    assert_eq!(with(at(READOUT_MAP_AT), &[2]), fault("kind of the linear map", 2, 1));
    let nan = f32::NAN.to_bits();
    assert_eq!(with(at(READOUT_EPS_AT), &nan.to_le_bytes()), fault("eps", nan.into(), f32::MAX.to_bits().into()));
    assert_eq!(with(value(0, 0), &[0]), fault("pooled value", 0, 1));
    assert_eq!(with(value(1, 0), &[1]), fault("pooled value", 1, 2));
    assert_eq!(with(value(4, 0), &[9]), fault("pooled value", 9, 8));
    assert_eq!(with(value(0, 2), &[8]), fault("parts of a pooled value", 8, 7));
    assert_eq!(with(value(0, 2), &[2]), fault("mean of a pooled value", 0, 1));
    assert!(matches!(with(value(0, 4), &[0, 0, 0, 0xbf]), BlobError::Readout { what: "unit of a pooled value", .. }));
    // More numbers, the same map; or a map for more dimensions.
    let longer = |map: u32| u64::from(len) + u64::from(map);
    assert_eq!(with(value(1, 2), &[3]), fault("length", len.into(), longer(2 * 8 * 16)));
    assert!(matches!(with(DIM_AT, &[12]), BlobError::Section { what: "statistics", .. }));
    let weights = at(READOUT_VALUES_AT + POOLED_LEN * 5 + 11 * MAP_ROW_LEN);
    assert_eq!(with(weights, &[0, 0xfc]), fault("weight of the linear map", 0xfc00, 0x7bff));
    // Without a map the feature is the pooled numbers.
    assert_eq!(with(at(READOUT_MAP_AT), &[0]), fault("feature dimension", 11, pooled as u64));
    assert_eq!(with(entry + 4, &(len - 4).to_le_bytes()), fault("length", (len - 4).into(), len.into()));
    assert_eq!(with(entry + 4, &[4, 0, 0, 0]), fault("length", 4, 8));
    assert_eq!(with(entry + 4, &[16, 0, 0, 0]), fault("length", 16, 48));
    assert!(matches!(with(entry, &[0xfc; 4]), BlobError::Section { what: "readout", .. }));
    let small = u32_at(&good, ARENA_WORDS_AT) - 1;
    let needed = BlobError::Header { what: "arena", found: small.into(), limit: (small + 1).into() };
    assert_eq!(with(ARENA_WORDS_AT, &small.to_le_bytes()), needed, "the pooled numbers are part of the arena");
    // As the first version, this section would be a square of the dimension.
    assert!(matches!(with(VERSION_AT, &[1]), BlobError::Section { what: "readout", .. }));
}

/// Readouts with a few bytes changed and the checksum corrected are refused or run without a fault.
#[test]
fn no_readout_causes_a_panic() {
    let mut lcg = Lcg(3);
    let (mut ran, mut refused) = (0, 0);
    for round in 0..1600u64 {
        let arithmetic = if round % 2 == 0 { Arithmetic::Int8 } else { Arithmetic::F16 };
        let dim = if round % 4 < 2 { 9 } else { 0 };
        let mut changed = Net::random(arithmetic, [5, 4, 1], round / 100).with_readout(dim, round).blob();
        let section = u32_at(&changed, SectionKind::Readout.entry_at()) as usize;
        for _ in 0..1 + lcg.below(2) {
            let at = match lcg.below(8) {
                0 => lcg.below(HEADER_LEN as u32) as usize,
                1 => section + lcg.below((changed.len() - 4 - section) as u32) as usize,
                _ => section + lcg.below((READOUT_VALUES_AT + 5 * POOLED_LEN) as u32) as usize,
            };
            changed[at] = if lcg.below(2) == 0 { lcg.bits() as u8 } else { changed[at] ^ 1 << lcg.below(8) };
        }
        seal(&mut changed);
        let words = aligned(&changed);
        let Ok(blob) = parse(&words, changed.len()) else {
            refused += 1;
            continue;
        };
        if blob.arena_words() > 1 << 20 {
            continue;
        }
        let image: Vec<u8> = (0..blob.input().values()).map(|_| lcg.below(256) as u8).collect();
        let encode = |filling: u32| {
            let (mut arena, mut feature) = (vec![filling; blob.info().arena_words], vec![0.0; blob.dim()]);
            blob.encode(&image, &mut arena, &mut feature).unwrap();
            feature.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        // No number of the feature depends on the initial content of the arena.
        assert_eq!(encode(0), encode(0xa5a5_a5a5));
        ran += 1;
    }
    assert!(ran > 200 && refused > 200, "{ran} ran, {refused} were refused");
}
