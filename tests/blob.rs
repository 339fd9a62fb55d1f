//! Device blobs against a naive network in f64, and encoders that do not fit a device.

use macula::blob::{Arithmetic, BlobFile, BlobParts, Limits, MakeBlobError, Weights, calibrate, make, plan};
use macula::data::open_named;
use macula::encoder::{CorpusStatistics, Embedder, EncoderSpec, InputShape, Node, Preset};

mod naive;
use naive::{Naive, random_encoder};

const PRESETS: [(Preset, usize, usize); 4] =
    [(Preset::Pico, 1, 28), (Preset::Nano, 3, 32), (Preset::Micro, 3, 32), (Preset::Mobile, 3, 64)];

fn parts<'a>(naive: &'a Naive, weights: Weights<'a>) -> BlobParts<'a> {
    let (encoder, preprocessing) = (&naive.encoder, &naive.preprocessing);
    BlobParts { encoder, preprocessing, weights, corpus: None, covariance: None, golden: None }
}

/// Pixels of `count` phantoms in the size of `naive`.
fn phantoms(naive: &Naive, count: usize, seed: u64) -> Vec<Vec<u8>> {
    let dataset = open_named(&format!("phantoms:64:{count}"), seed).unwrap();
    let indices = dataset.indices(None);
    indices.iter().map(|&i| naive.preprocessing.to_pixels(&dataset.load(i).unwrap()).pixels).collect()
}

/// Both blobs of `naive`, int8 calibrated on phantoms.
fn blobs(naive: &Naive) -> [BlobFile; 2] {
    let half = make(&parts(naive, Weights::F16), Limits::default()).unwrap();
    let half = BlobFile::from_bytes("f16", &half).unwrap();
    let ranges = calibrate(&half, &naive.encoder.spec, &phantoms(naive, 32, 2)).unwrap();
    let int8 = make(&parts(naive, Weights::Int8(&ranges)), Limits::default()).unwrap();
    [half, BlobFile::from_bytes("int8", &int8).unwrap()]
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn every_preset_gives_the_features_of_the_naive_network() {
    for (preset, channels, side) in PRESETS {
        let naive = random_encoder(preset, channels, side, 7);
        let [half, int8] = blobs(&naive);
        let images = phantoms(&naive, 8, 3);
        let input = naive.preprocessing.normalise(&images.concat());
        let dim = naive.feature_dim();
        let expected = naive.embed_input(&input).unwrap();
        for (blob, least) in [(&half, 0.9999), (&int8, 0.99)] {
            assert_eq!(blob.feature_dim(), dim);
            let found = blob.embed_input(&input).unwrap();
            for (image, (a, b)) in expected.chunks(dim).zip(found.chunks(dim)).enumerate() {
                let cosine = cosine(a, b);
                eprintln!("{preset:?} {} {image}: {cosine}", blob.name());
                assert!(cosine > least, "{preset:?} {}, image {image}: cosine {cosine}", blob.name());
            }
        }
    }
}
