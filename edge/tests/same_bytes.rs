//! Hashes of quantised features, heads, predictions, network pixels and features of readouts.
//!
//! The test runs on every supported CPU, natively or under QEMU: results are byte-identical on x86-64, aarch64 and armv7.
//! A changed hash means a changed format or changed arithmetic, so devices in the field would predict differently.

mod common;

use base16ct::lower::encode_string;
use common::blob::{Lcg, Net, aligned};
use common::{Task, Xorshift};
use macula_edge::decide::{OperatingPoint, Predictor, Target};
use macula_edge::encoder::{Arithmetic, Blob, Encoder};
use macula_edge::feature::{self, CorpusStats};
use macula_edge::head::HeadKind;
use macula_edge::image::{Crop, RawImage, Recipe, Shape, to_pixels};
use sha2::{Digest, Sha256};

const DIM: usize = 48;

#[test]
fn quantised_features() {
    let mut generator = Xorshift(0x9E37_79B9_7F4A_7C15);
    let mut hash = Sha256::new();
    for exponent in -30i32..30 {
        let magnitude = f32::from_bits(((127 + exponent) as u32) << 23);
        let mut values = || (0..DIM).map(|_| generator.value() * magnitude).collect::<Vec<f32>>();
        let (feature, mean, mut std) = (values(), values(), values());
        std.iter_mut().for_each(|value| *value = value.abs());
        let mut quantised = [0; DIM];
        let corpus = CorpusStats { mean: &mean, std: &std, length_max: None };
        feature::quantise(&feature, Some(corpus), &mut quantised).unwrap();
        quantised.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    assert_eq!(encode_string(&hash.finalize()), "5a8d8a27ab7af6cf01479c8ed334c305d981ecabd238a1749f403714a684b1d2");
}

#[test]
fn network_pixels() {
    let mut generator = Xorshift(0x2545_F491_4F6C_DD1D);
    let mut hash = Sha256::new();
    let sizes = [(28, 28), (64, 64), (224, 224), (131, 97), (3, 200), (700, 2), (1024, 40)];
    for (width, height) in sizes {
        for (channels, target_channels) in [(1, 1), (3, 1), (1, 3), (3, 3)] {
            let pixels: Vec<u8> = (0..width * height * channels).map(|_| (generator.bits() >> 40) as u8).collect();
            let image = RawImage::new(width, height, channels, &pixels).unwrap();
            for (target_width, target_height) in [(28, 28), (32, 32), (64, 64), (7, 90)] {
                for crop in [Crop::Whole, Crop::CentreSquare] {
                    let target = Shape::new(target_width, target_height, target_channels).unwrap();
                    let mut scratch = vec![u32::MAX; Recipe::scratch_len(target, width)];
                    let mut output = vec![0; target.pixels_len()];
                    to_pixels(&image, Recipe { target, crop }, &mut scratch, &mut output).unwrap();
                    hash.update(output);
                }
            }
        }
    }
    assert_eq!(encode_string(&hash.finalize()), "36b8c4c10383a9a048f4ecbbbdfde8d6693c6e21169639e88f543e17edff65b6");
}

#[test]
fn heads_and_predictions() {
    let mut generator = Xorshift(4242);
    let mut hash = Sha256::new();
    // Fewer supports than dimensions, as many, and more; a class with one support and a class without any.
    for (dim, counts) in [(48, [4, 6, 5, 1]), (20, [5, 5, 5, 5]), (6, [9, 12, 0, 10])] {
        let mut task = Task { dim, records: Vec::new(), features: Vec::new() };
        for (class, &count) in counts.iter().enumerate() {
            (0..count).for_each(|_| task.push(class as u8, &generator.feature(dim, class)));
        }
        let supports = task.supports();
        let mut scratch = vec![f64::NAN; Predictor::scratch_len(dim, 4, task.len())];
        for kind in [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic] {
            let mut predictor = Predictor::fit(kind, supports, 4, None, 200, &mut scratch).unwrap();
            for query in 0..12 {
                let mut probabilities = [0.0; 4];
                let feature = generator.feature(dim, query % 4);
                let prediction = predictor.predict(supports, &feature, None, &mut probabilities).unwrap();
                hash.update([prediction.class, u8::from(prediction.in_distribution), u8::from(prediction.enough)]);
                hash.update(prediction.probability.to_le_bytes());
                hash.update(prediction.set.to_bytes());
                for nearest in prediction.nearest.into_iter().flatten() {
                    hash.update(nearest.support.to_le_bytes());
                    hash.update(nearest.similarity.to_le_bytes());
                }
                probabilities.iter().for_each(|value| hash.update(value.to_le_bytes()));
            }
            hash.update(predictor.kappa().to_le_bytes());
        }
    }
    assert_eq!(encode_string(&hash.finalize()), "2d4250b3966ad306f8112925c2bf93a8b638883d83b5cf15823804a8f1efcd3b");
}

#[test]
fn thresholds_and_scores() {
    let mut generator = Xorshift(4243);
    let mut hash = Sha256::new();
    for (dim, counts) in [(48, [4, 6, 5, 1]), (20, [5, 5, 5, 5]), (6, [9, 12, 0, 10])] {
        let mut task = Task { dim, records: Vec::new(), features: Vec::new() };
        for (class, &count) in counts.iter().enumerate() {
            (0..count).for_each(|_| task.push(class as u8, &generator.feature(dim, class)));
        }
        let supports = task.supports();
        let mut scratch = vec![f64::NAN; Predictor::scratch_len(dim, 4, task.len())];
        let mut predictor = Predictor::fit(HeadKind::Auto, supports, 4, None, 200, &mut scratch).unwrap();
        for class in 0..4 {
            for target in [
                Target::Sensitivity { permille: 950 },
                Target::Sensitivity { permille: 600 },
                Target::Specificity { permille: 800 },
                Target::Costs { missed: 3, false_alarm: 1 },
            ] {
                if let Some(threshold) = predictor.threshold(supports, OperatingPoint { class, target }) {
                    hash.update(threshold.score.to_le_bytes());
                    hash.update([threshold.detected, threshold.rejected].map(|count| count as u8));
                }
            }
            predictor.predict(supports, &generator.feature(dim, usize::from(class)), None, &mut [0.0; 4]).unwrap();
            hash.update(predictor.score(class).unwrap_or(0.0).to_le_bytes());
        }
    }
    assert_eq!(encode_string(&hash.finalize()), "51e7a996c630e12a411faacec1959565a844bd6921823df4cb4c63750719d31a");
}

#[test]
fn features_of_readouts() {
    for (arithmetic, expected) in [
        (Arithmetic::Int8, "77bcfcce23f41e947fb9640d3c33f14936900f9d87ed46681be3051269005fca"),
        (Arithmetic::F16, "473b4b43bef9147e508ae4ee209aa0b3a5ccdb0394c230cc5427bcb55006b2bf"),
    ] {
        let mut hash = Sha256::new();
        for (seed, input) in (80..).zip([[9, 7, 3], [8, 8, 1], [1, 5, 3], [12, 16, 1]]) {
            for dim in [0, 20] {
                let bytes = Net::random(arithmetic, input, seed).with_readout(dim, seed).blob();
                let words = aligned(&bytes);
                let blob = Blob::parse(&bytemuck::cast_slice(&words)[..bytes.len()]).unwrap();
                let (mut arena, mut feature) = (vec![7; blob.arena_words()], vec![0.0; blob.dim()]);
                let mut lcg = Lcg(seed);
                for _ in 0..5 {
                    let pixels: Vec<u8> = (0..input.iter().product()).map(|_| lcg.below(256) as u8).collect();
                    blob.encode(&pixels, &mut arena, &mut feature).unwrap();
                    feature.iter().for_each(|value| hash.update(value.to_le_bytes()));
                }
            }
        }
        assert_eq!(encode_string(&hash.finalize()), expected, "{arithmetic:?}");
    }
}
