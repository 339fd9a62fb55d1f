//! The files of each shipped model are the same encoder: weights, ONNX files, signed bundle, blob for microcontrollers.
#![cfg(all(feature = "host", feature = "onnx"))]

use std::path::{Path, PathBuf};

use macula::bundle::{Bundle, read_public};
use macula::data::{self, Dataset};
use macula::encoder::HostEncoder;
use macula::encoders::{OpenOptions, open};
use macula::evaluate::embed_dataset;
use macula::models::MODELS;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn open_file(path: &Path) -> Box<dyn HostEncoder> {
    let opened = open(path.to_str().unwrap(), &OpenOptions::default());
    opened.unwrap_or_else(|error| panic!("{}: {error}", path.display())).encoder
}

/// Features of each image, centred by the statistics of the encoder: what a head sees.
fn features(encoder: &dyn HostEncoder, dataset: &Dataset) -> Vec<Vec<f64>> {
    let corpus = encoder.corpus().expect("a shipped file has statistics of its features");
    let features = embed_dataset(encoder, dataset, &dataset.indices(None), &|_| ()).unwrap();
    let centred = |row: &[f32]| row.iter().zip(&corpus.mean).map(|(value, mean)| f64::from(value - mean)).collect();
    features.rows.chunks_exact(features.dim).map(centred).collect()
}

/// The largest difference of a feature, relative to its length.
fn largest_difference(found: &[Vec<f64>], expected: &[Vec<f64>]) -> f64 {
    let length = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let relative = |(found, expected): (&Vec<f64>, &Vec<f64>)| {
        let difference: Vec<f64> = found.iter().zip(expected).map(|(found, expected)| found - expected).collect();
        length(&difference) / length(expected)
    };
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(relative).fold(0.0, f64::max)
}

#[test]
fn all_files_of_a_model_give_the_same_features() {
    let dataset = data::open_named("phantoms:96:12", 3).unwrap();
    let key = read_public(&folder().join("release.pub")).unwrap();
    for model in MODELS {
        let folder = folder().join(model.name);
        let weights = open(model.name, &OpenOptions::default()).unwrap().encoder;
        let expected = features(&*weights, &dataset);
        for (file, most) in [("encoder.onnx", 1e-4), ("encoder.f16.onnx", 2e-2)] {
            let found = largest_difference(&features(&*open_file(&folder.join(file)), &dataset), &expected);
            assert!(found < most, "{}: {file} differs by {found}", model.name);
        }
        // A bundle that is not signed by this key does not open.
        let bundle = Bundle::open(&folder.join(format!("{}.macula", model.name)), &[key]).unwrap();
        assert_eq!(bundle.manifest().encoder.identity, open_file(&folder.join("encoder.f16.onnx")).id().to_string());
    }
}

#[test]
fn blobs_for_microcontrollers_fit_and_give_the_features_of_their_readout() {
    use macula::encoder::{Pooling, Readout};
    use macula::pretrain::Run;

    let dataset = data::open_named("phantoms:96:12", 3).unwrap();
    let blobs = MODELS.iter().map(|model| folder().join(model.name).join("chip/encoder.int8.blob"));
    let blobs: Vec<PathBuf> = blobs.filter(|path| path.is_file()).collect();
    assert_eq!(blobs.len(), 2, "64 pixels fit a microcontroller, 128 do not");
    for path in blobs {
        let blob = open_file(&path);
        assert_eq!(blob.feature_dim(), 128);
        assert!(std::fs::metadata(&path).unwrap().len() < 256 * 1024);
        // The map is fitted to the corpus, which is not here; distances between images must be nearly those of the pooled
        // values that it reduces.
        let name = path.ancestors().nth(2).unwrap().file_name().unwrap().to_str().unwrap();
        let mut run = Run::load(Path::new(name)).unwrap();
        run.refit(Readout::pooled(Pooling::Stages), &dataset, &dataset.indices(None)).unwrap();
        let correlation = correlation(&distances(&features(&*blob, &dataset)), &distances(&features(&run, &dataset)));
        assert!(correlation > 0.9, "{name}: {correlation}");
    }
}

/// Distances between all pairs of features.
fn distances(features: &[Vec<f64>]) -> Vec<f64> {
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let pairs = (0..features.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    pairs.map(|(i, j)| distance(&features[i], &features[j])).collect()
}

/// Pearson's correlation.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let centred = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value - mean).collect::<Vec<f64>>()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (a, b) = (centred(a), centred(b));
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}
