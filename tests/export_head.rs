//! `macula export-head`: the classifier agrees with the device. Also writes classifier, images and the device's
//! predictions to the folder `MACULA_ONNX_CHECK`, where `tests/onnx_check.py` compares them with ONNX Runtime.
#![cfg(all(feature = "cli", feature = "onnx"))]

mod naive;
mod shell;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use macula::data;
use macula::encoder::{CorpusStatistics, Preset};
use macula::export::{ClassifierError, LinearHead, classifier, measure_corpus, to_onnx};
use macula::runtime::{ElementType, Metadata, OnnxEncoder, OpenOptions, Provenance, decode, encode, pb};
use naive::{Naive, random_encoder};
use shell::{expect, fails, json};

/// Thirty images are learned, 200 are predicted.
const DATA: &str = "phantoms:28:230";

fn onnx(naive: &Naive, element: ElementType, corpus: Option<CorpusStatistics>) -> Vec<u8> {
    let metadata = Metadata {
        preprocessing: naive.info.preprocessing.clone(),
        provenance: Provenance {
            program_version: "0.1.0".into(),
            method: "none".into(),
            seed: 1,
            data: "none".into(),
            encoder: naive.encoder.spec.clone(),
            config_sha256: String::new(),
            teachers: Vec::new(),
        },
        corpus,
    };
    encode(&to_onnx(&naive.encoder, element, &metadata).unwrap())
}

/// The most probable class of each row and its probability.
fn answers(probabilities: &[f32], names: &[String]) -> Vec<(String, f64)> {
    let largest = |row: &[f32]| {
        let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        (names[best].clone(), f64::from(row[best]))
    };
    probabilities.chunks(names.len()).map(largest).collect()
}

#[test]
fn the_classifier_agrees_with_the_device() {
    let naive = random_encoder(Preset::Pico, 1, 28, 11);
    let dataset = data::open_named(DATA, 1).unwrap();
    let statistics = measure_corpus(&naive, &dataset, &(0..60).collect::<Vec<_>>()).unwrap();
    let root = std::env::var_os("MACULA_ONNX_CHECK").map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    for (name, element, corpus) in
        [("head-f16", ElementType::F16, Some(statistics)), ("head-f32", ElementType::F32, None)]
    {
        let folder = root.join(name);
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("net.onnx"), onnx(&naive, element, corpus)).unwrap();
        let device = ["--device", "a.store", "--encoder", "net.onnx"];
        expect(0, &folder, &[&["learn"], &device[..], &["--data", DATA, "--shots", "5"]].concat());
        // A class without samples has no column.
        expect(0, &folder, &["class", "add", "--device", "a.store", "empty"]);
        let out = ["--force", "--out", "classifier.onnx", "--json-head", "head.json"];
        expect(0, &folder, &[&["export-head", "--device", "a.store"], &out[..]].concat());
        agrees(&folder, &naive, &dataset);
    }
}

fn agrees(folder: &Path, naive: &Naive, dataset: &data::Dataset) {
    let said = ["predict", "--device", "a.store", "--data", DATA, "--each", "--json"];
    let report = json(&expect(0, folder, &said).0);
    let rows = report["predictions"].as_array().unwrap();
    assert_eq!(rows.len(), 200);
    let indices: BTreeMap<&str, usize> =
        dataset.records.iter().enumerate().map(|(index, record)| (record.name.as_str(), index)).collect();
    let images: Vec<f32> = rows
        .iter()
        .flat_map(|row| naive.info.preprocessing.apply(&dataset.load(indices[row["image"].as_str().unwrap()]).unwrap()))
        .collect();
    let device: Vec<(String, f64)> = rows
        .iter()
        .map(|row| (row["class"].as_str().unwrap().to_owned(), row["probability"].as_f64().unwrap()))
        .collect();
    let head: LinearHead = serde_json::from_slice(&std::fs::read(folder.join("head.json")).unwrap()).unwrap();
    let names: Vec<String> = head.classes.iter().map(|class| class.name.clone()).collect();
    assert!(names.len() == 6 && head.classes.iter().all(|class| class.samples == 5) && head.dim() == 32);

    // The classifier in tract, opened as any ONNX file that gives a vector per image.
    let bytes = std::fs::read(folder.join("classifier.onnx")).unwrap();
    let options = OpenOptions { preprocessing: Some(naive.info.preprocessing.clone()), arithmetic: None };
    let probabilities =
        OnnxEncoder::from_bytes("classifier", &bytes, &options).unwrap().encode_normalised(&images).unwrap();
    let found = answers(&probabilities, &names);
    let mut varied: Vec<&String> = found.iter().map(|(class, _)| class).collect();
    varied.sort_unstable();
    varied.dedup();
    assert!(varied.len() > 3, "a constant classifier could agree by chance: {varied:?}");
    for (index, (found, expected)) in found.iter().zip(&device).enumerate() {
        assert_eq!(found.0, expected.0, "image {index}");
        assert!((found.1 - expected.1).abs() < 2e-3, "image {index}: {} for {}", found.1, expected.1);
    }
    let sums = probabilities.chunks(6).map(|row| (row.iter().sum::<f32>() - 1.0).abs());
    assert!(sums.fold(0.0, f32::max) < 1e-5);
    // The JSON head gives the same classes, computed as its `feature` text describes.
    let net = OnnxEncoder::open(&folder.join("net.onnx")).unwrap();
    let features = net.encode_normalised(&images).unwrap();
    for (index, (feature, expected)) in features.chunks(32).zip(&device).enumerate() {
        assert_eq!(&by_hand(&head, feature), &expected.0, "image {index} by the JSON");
    }
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).unwrap();
    write("input.nhwc.f32", images.iter().flat_map(|value| value.to_le_bytes()).collect());
    write("device.json", serde_json::to_vec(&device).unwrap());
}

/// The class of `feature`, computed as the head's `feature` text describes.
fn by_hand(head: &LinearHead, feature: &[f32]) -> String {
    let scaled: Vec<f64> = match &head.corpus {
        None => feature.iter().map(|&value| f64::from(value)).collect(),
        Some(corpus) => (0..feature.len())
            .map(|d| f64::from((feature[d] - corpus.mean[d]) / if corpus.std[d] == 0.0 { 1.0 } else { corpus.std[d] }))
            .collect(),
    };
    let length = scaled.iter().map(|z| z * z).sum::<f64>().sqrt();
    let quantised: Vec<f64> = scaled.iter().map(|z| (f64::from(head.unit) * z / length).round_ties_even()).collect();
    let score =
        |class: usize| head.weights[class].iter().zip(&quantised).map(|(w, q)| w * q).sum::<f64>() + head.biases[class];
    let best = (0..head.classes.len()).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap();
    head.classes[best].name.clone()
}

#[test]
fn encoders_and_heads_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    shell::draw_pictures(path);
    let naive = random_encoder(Preset::Pico, 1, 28, 11);
    std::fs::write(path.join("net.onnx"), onnx(&naive, ElementType::F32, None)).unwrap();
    std::fs::write(path.join("other.onnx"), onnx(&random_encoder(Preset::Pico, 1, 28, 12), ElementType::F32, None))
        .unwrap();
    let learn = ["learn", "--device", "a.store", "--encoder", "net.onnx", "--class", "dark", "dark-0.png"];
    expect(0, path, &learn);
    let export = ["export-head", "--device", "a.store", "--force", "--out", "a.onnx"];
    expect(2, path, &[&export[..], &["--encoder", "other.onnx"]].concat());
    assert!(!path.join("a.onnx").exists());
    expect(0, path, &export);
    expect(0, path, &["forget", "--device", "a.store", "--sample", "dark-0.png"]);
    expect(2, path, &["export-head", "--device", "a.store", "--out", "b.onnx"]);
    expect(0, path, &["learn", "--device", "b.store", "--encoder", "raw-pixels", "--class", "dark", "dark-0.png"]);
    fails(2, "input", path, &["export-head", "--device", "b.store", "--out", "b.onnx"], &["raw-pixels", "ONNX"]);
    assert!(!path.join("b.onnx").exists());

    let head = LinearHead {
        format: 1,
        head: "auto".into(),
        encoder_identity: String::new(),
        state_sha256: String::new(),
        feature: String::new(),
        unit: 32_767,
        corpus: None,
        classes: Vec::new(),
        weights: Vec::new(),
        biases: Vec::new(),
    };
    let twice = decode(&std::fs::read(path.join("a.onnx")).unwrap(), "a").unwrap();
    assert!(matches!(classifier(&twice, &head), Err(ClassifierError::Name { .. })));
    let mut old = decode(&onnx(&naive, ElementType::F32, None), "old").unwrap();
    old.opset_import[0].version = 12;
    assert_eq!(classifier(&old, &head), Err(ClassifierError::Opset { found: 12 }));
    old.graph = None;
    old.opset_import[0].version = 13;
    assert_eq!(classifier(&old, &head), Err(ClassifierError::NoOutput));

    // Dimensions whose unchecked product overflows to 0, a negative size, half a value, and more than 16 bits.
    let f16 = decode(&onnx(&naive, ElementType::F16, None), "f16").unwrap();
    assert!(classifier(&f16, &head).is_ok());
    type Spoil = fn(&mut pb::TensorProto);
    let spoils: [Spoil; 4] = [
        |tensor| (tensor.dims, tensor.raw_data) = (vec![1 << 32, 1 << 32], Vec::new()),
        |tensor| (tensor.dims, tensor.raw_data) = (vec![-1, 0], Vec::new()),
        |tensor| tensor.raw_data.push(0),
        |tensor| (tensor.dims, tensor.raw_data, tensor.int32_data) = (vec![1], Vec::new(), vec![1 << 16]),
    ];
    for spoil in spoils {
        let mut bad = f16.clone();
        spoil(&mut bad.graph.as_mut().unwrap().initializer[0]);
        assert!(matches!(classifier(&bad, &head), Err(ClassifierError::Tensor { .. })));
    }
    let ragged = LinearHead { weights: vec![vec![1.0; 32], vec![1.0; 31]], biases: vec![0.0; 2], ..head };
    assert_eq!(classifier(&f16, &ragged), Err(ClassifierError::Head));
}
