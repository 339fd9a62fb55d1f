//! Device blobs against a naive f64 network, and encoders that do not fit a device.

use macula::blob::{Arithmetic, BlobFile, BlobParts, Golden, Limits, MakeBlobError, Weights, calibrate, make, plan};
use macula::data::open_named;
use macula::encoder::{CorpusStatistics, HostEncoder, LinearMap, Pooling, Preset};
use macula_edge::encoder::Encoder;

mod naive;
use naive::{Naive, random_encoder};

const PRESETS: [(Preset, usize, usize); 4] =
    [(Preset::Pico, 1, 28), (Preset::Nano, 3, 32), (Preset::Micro, 3, 32), (Preset::Mobile, 3, 64)];

fn parts<'a>(naive: &'a Naive, weights: Weights<'a>) -> BlobParts<'a> {
    let (encoder, preprocessing) = (&naive.encoder, &naive.info.preprocessing);
    BlobParts { encoder, preprocessing, weights, corpus: None, golden: None }
}

/// Pixels of `count` phantoms in the size of `naive`.
fn phantoms(naive: &Naive, count: usize, seed: u64) -> Vec<Vec<u8>> {
    let dataset = open_named(&format!("phantoms:64:{count}"), seed).unwrap();
    let indices = dataset.indices(None);
    indices.iter().map(|&i| naive.info.preprocessing.to_pixels(&dataset.load(i).unwrap()).pixels).collect()
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

/// Both blobs of `naive` against it and against the device's code on eight images: int8 has its bits, f16 another order of sums.
fn compare(naive: &Naive, what: &str) {
    let [half, int8] = blobs(naive);
    let images = phantoms(naive, 8, 3);
    let dim = naive.feature_dim();
    let expected = naive.encode_batch(&images.concat()).unwrap();
    for (blob, least) in [(&half, 0.9999), (&int8, 0.99)] {
        assert_eq!(blob.feature_dim(), dim);
        let found = blob.encode_batch(&images.concat()).unwrap();
        for (image, (a, b)) in expected.chunks(dim).zip(found.chunks(dim)).enumerate() {
            let cosine = cosine(a, b);
            assert!(cosine > least, "{what} {}, image {image}: cosine {cosine}", blob.name());
        }
        let device = blob.blob().unwrap();
        let (mut arena, mut expected) = (vec![0; device.arena_words()], vec![0.0; dim]);
        for (image, found) in images.iter().zip(found.chunks(dim)) {
            device.encode(image, &mut arena, &mut expected).unwrap();
            let most = match device.arithmetic() {
                Arithmetic::F16 => 1e-5 * expected.iter().map(|value| value * value).sum::<f32>().sqrt(),
                Arithmetic::Int8 => 0.0,
            };
            let error = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error <= most, "{what} {}: {error} off the device's code", blob.name());
        }
    }
}

#[test]
fn blobs_of_all_presets_match_the_naive_network() {
    for (preset, channels, side) in PRESETS {
        compare(&random_encoder(preset, channels, side, 7), preset.name());
    }
}

/// Odd sides, whose cells overlap; strided blocks of both kinds.
#[test]
fn blobs_of_all_readouts_match_the_naive_network() {
    for (preset, side) in [(Preset::Nano, 26), (Preset::Mobile, 40)] {
        for pooling in Pooling::ALL {
            for dim in [None, Some(20)] {
                let naive = random_encoder(preset, 1, side, 5).with_readout(pooling, dim, 3);
                compare(&naive, &format!("{} {} {dim:?}", preset.name(), pooling.name()));
            }
        }
    }
}

/// By hand for stages of nano: 224 pooled values behind the scratch, and a map of 128 rows with scale and bias in f32 and
/// weights in f16.
#[test]
fn a_readout_takes_224_words_of_memory_and_the_flash_of_its_map() {
    let mean = random_encoder(Preset::Nano, 1, 64, 1);
    let stages = random_encoder(Preset::Nano, 1, 64, 1).with_readout(Pooling::Stages, Some(128), 2);
    let [mean, stages] = [mean, stages].map(|naive| {
        let [_, int8] = blobs(&naive);
        let blob = int8.blob().unwrap();
        (blob.arena_words(), blob.len_bytes())
    });
    assert_eq!(stages.0 - mean.0, 2 * (16 + 32 + 64));
    assert_eq!(stages.1 - mean.1, 8 + 3 * 8 + 128 * (4 + 4 + 224 * 2));
}

#[test]
fn a_map_that_is_not_the_readouts_is_refused() {
    let naive = || random_encoder(Preset::Pico, 1, 28, 1).with_readout(Pooling::Stages, Some(12), 2);
    let refusal = |change: &dyn Fn(&mut Option<LinearMap>)| {
        let mut changed = naive();
        change(&mut changed.encoder.map);
        make(&parts(&changed, Weights::F16), Limits::default()).unwrap_err()
    };
    assert!(make(&parts(&naive(), Weights::F16), Limits::default()).is_ok());
    let missing = refusal(&|map| *map = None);
    assert!(matches!(missing, MakeBlobError::Map { stated: 12, found: 0 }), "{missing}");
    let short = refusal(&|map| map.iter_mut().for_each(|map| map.weight.truncate(12 * 100)));
    assert!(matches!(short, MakeBlobError::Length { found: 1200, needed: 1344, .. }), "{short}");
    let infinite = refusal(&|map| map.iter_mut().for_each(|map| map.weight[7] = f32::INFINITY));
    assert!(matches!(infinite, MakeBlobError::Value { what: "weight", index: 7, .. }), "{infinite}");
    // Any finite weight has a form.
    let mut large = naive();
    large.encoder.map.iter_mut().for_each(|map| map.weight[7] = 1e30);
    assert!(make(&parts(&large, Weights::F16), Limits::default()).is_ok());
}

/// By hand for int8 nano at 3×32×32: three maps of 32×32×16 alive at once, and scratch for two patches of 3×3×64 i16.
#[test]
fn an_encoder_that_does_not_fit_is_refused_with_needed_and_allowed_bytes() {
    let naive = random_encoder(Preset::Nano, 3, 32, 1);
    let half = make(&parts(&naive, Weights::F16), Limits::default()).unwrap();
    let half = BlobFile::from_bytes("f16", &half).unwrap();
    let ranges = calibrate(&half, &naive.encoder.spec, &phantoms(&naive, 4, 2)).unwrap();
    let int8 = |ram, flash| make(&parts(&naive, Weights::Int8(&ranges)), Limits { ram, flash });
    let ram = 3 * 32 * 32 * 16 + 2 * 2 * 9 * 64;
    assert_eq!(4 * plan(&naive.encoder.spec, Arithmetic::Int8).unwrap().words(), ram);
    let flash = int8(Some(ram), None).unwrap().len();
    // One byte per weight, sixteen per channel, and little more.
    assert!(flash > 77_000 && flash < 90_000, "{flash}");
    assert!(int8(Some(256 << 10), Some(flash)).is_ok());
    let short = int8(Some(ram - 1), None).unwrap_err();
    assert!(
        matches!(&short, MakeBlobError::Ram { needed, limit, layer, .. }
            if *needed == ram && *limit == ram - 1 && layer == "blocks.0.conv2"),
        "{short}"
    );
    let short = int8(None, Some(flash - 1)).unwrap_err();
    assert!(
        matches!(&short, MakeBlobError::Flash { needed, limit, layer, largest: 36_864 }
            if *needed == flash && *limit == flash - 1 && layer == "blocks.2.conv2"),
        "{short}"
    );
}

#[test]
fn a_blob_contains_statistics_and_a_self_test() {
    let naive = random_encoder(Preset::Pico, 1, 28, 1);
    let dim = naive.feature_dim();
    let corpus = CorpusStatistics { mean: vec![0.25; dim], std: vec![0.5; dim], length_max: Some(300) };
    let parts = BlobParts { corpus: Some(corpus.view()), ..parts(&naive, Weights::F16) };
    let image = phantoms(&naive, 4, 1).remove(0);
    let plain = BlobFile::from_bytes("plain", &make(&parts, Limits::default()).unwrap()).unwrap();
    let mut feature = plain.quantised(&image).unwrap();
    let passes = |feature: &[i16]| {
        let bytes =
            make(&BlobParts { golden: Some(Golden { pixels: &image, feature }), ..parts }, Limits::default()).unwrap();
        let file = BlobFile::from_bytes("golden", &bytes).unwrap();
        assert_eq!(file.corpus(), Some(&corpus));
        let blob = file.blob().unwrap();
        assert_eq!(blob.info().corpus, Some(corpus.view()));
        blob.self_test(&mut vec![0; blob.info().work_words()], &mut vec![0; dim]).unwrap()
    };
    assert_eq!(passes(&feature), Some(true));
    feature[3] ^= 1;
    assert_eq!(passes(&feature), Some(false));
    let mut broken = random_encoder(Preset::Pico, 1, 28, 1);
    broken.encoder.convs[2].weight[5] = 7e4;
    let error = make(&BlobParts { encoder: &broken.encoder, ..parts }, Limits::default()).unwrap_err();
    assert!(matches!(error, MakeBlobError::Value { what: "weight", index: 5, .. }), "{error}");
}
