//! Exported encoders against a naive network, and the refusal of files that are not encoders.
#![cfg(feature = "onnx")]

use std::path::{Path, PathBuf};

use macula::data::{self, Dataset, evenly_spread};
use macula::encoder::{CorpusStatistics, EncodeError, EncoderId, HostEncoder, InputShape, Pooling, Preset};
use macula::export::{
    F16_FILE, F16_TOLERANCE, F32_FILE, OnnxError, PARITY_FILE, Sample, Tolerances, export, measure_corpus, to_onnx,
};
use macula::runtime::{
    Arithmetic, ElementType, Metadata, OnnxEncoder, OpenOptions, Provenance, RuntimeError, cpu_has_fp16, encode, pb,
};

mod common;
mod naive;
use naive::{Naive, random_encoder};

const PRESETS: [(Preset, usize, usize); 4] =
    [(Preset::Pico, 1, 28), (Preset::Nano, 3, 32), (Preset::Micro, 3, 32), (Preset::Mobile, 3, 64)];

/// Real images where there are any, phantoms otherwise.
fn images(channels: usize) -> Dataset {
    let folder = if channels == 1 { "pneumoniamnist/pneumoniamnist.npz" } else { "cifar10" };
    match common::data_or_skip(&format!("export on {folder}, phantoms took its place")) {
        Some(root) => data::open(&root.join(folder)).unwrap(),
        None => data::open_named("phantoms:64:48", 1).unwrap(),
    }
}

fn sample(encoder: &Naive, count: usize) -> Sample {
    let dataset = images(encoder.info.preprocessing.channels);
    let chosen = evenly_spread(&dataset.indices(None), count);
    Sample::load(&dataset, &chosen, &encoder.info.preprocessing).unwrap()
}

fn metadata(encoder: &Naive) -> Metadata {
    Metadata {
        preprocessing: encoder.info.preprocessing.clone(),
        provenance: Provenance {
            program_version: "0.1.0".into(),
            method: "none".into(),
            seed: 1,
            data: "none".into(),
            encoder: encoder.encoder.spec.clone(),
            config_sha256: String::new(),
            teachers: Vec::new(),
        },
        corpus: Some(CorpusStatistics {
            mean: vec![0.5; encoder.feature_dim()],
            std: vec![0.25; encoder.feature_dim()],
            length_max: Some(300),
        }),
    }
}

fn model(encoder: &Naive, element: ElementType) -> pb::ModelProto {
    to_onnx(&encoder.encoder, element, &metadata(encoder)).unwrap()
}

fn open(model: &pb::ModelProto) -> Result<OnnxEncoder, RuntimeError> {
    OnnxEncoder::from_bytes("m.onnx", &encode(model), &OpenOptions::default())
}

/// The error of opening `model`.
fn refusal(model: &pb::ModelProto) -> String {
    open(model).err().expect("this model must be refused").to_string()
}

/// Largest difference between two features of an image, relative to the length of the first.
fn largest_error(a: &[f32], b: &[f32], dim: usize) -> f32 {
    assert_eq!(a.len(), b.len());
    let error = |(a, b): (&[f32], &[f32])| {
        let norm = a.iter().map(|x| x * x).sum::<f32>().sqrt();
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / norm
    };
    a.chunks(dim).zip(b.chunks(dim)).map(error).fold(0.0, f32::max)
}

/// Also writes files, input and tract's output to the folder `MACULA_ONNX_CHECK`, where `tests/onnx_check.py` compares them
/// with ONNX Runtime.
#[test]
fn every_preset_agrees_with_the_naive_network() {
    for (preset, channels, side) in PRESETS {
        let naive = random_encoder(preset, channels, side, 5);
        agrees(&naive, &sample(&naive, 12), preset.name());
    }
}

/// Sides of 7 and 1 have overlapping cells. Files for ONNX Runtime as above.
#[test]
fn every_readout_agrees_with_the_naive_network() {
    for (preset, channels, side) in
        [(Preset::Nano, 1, 64), (Preset::Pico, 1, 28), (Preset::Mobile, 3, 32), (Preset::Mobile, 3, 64)]
    {
        let plain = random_encoder(preset, channels, side, 5);
        let sample = sample(&plain, 6);
        for (pooling, dim) in Pooling::ALL.into_iter().flat_map(|pooling| [(pooling, None), (pooling, Some(24))]) {
            let naive = random_encoder(preset, channels, side, 5).with_readout(pooling, dim, 7);
            let map = if dim.is_some() { "-map" } else { "" };
            agrees(&naive, &sample, &format!("{}-{side}-{}{map}", preset.name(), pooling.name()));
        }
    }
}

/// Exports `naive` to the folder `name` and compares the files with it on `sample`.
fn agrees(naive: &Naive, sample: &Sample, name: &str) {
    let root = std::env::var_os("MACULA_ONNX_CHECK").map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let InputShape { channels, height: side, .. } = naive.encoder.spec.input;
    let folder = root.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let exported =
        export(naive, &naive.encoder, &metadata(naive), &[], sample, Tolerances::default(), &folder).unwrap();
    assert!(exported.parity.passed, "{name}: {:#?}", exported.parity);
    assert!(exported.parity.steps[0].max_error < 1e-5, "{name}: {:#?}", exported.parity);
    // Equality would mean that the file is not f16.
    assert!(exported.parity.steps[1].max_error > 1e-5, "{name}: {:#?}", exported.parity);
    let write = |name: &str, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(folder.join(name), bytes).unwrap();
    };
    let input = naive.info.preprocessing.normalise(&sample.pixels);
    write("input.nhwc.f32", &input);
    for file in [F32_FILE, F16_FILE] {
        let opened = OnnxEncoder::open(&folder.join(file)).unwrap();
        opened.require_input(channels, side, side).unwrap();
        write(&format!("{file}.tract.f32"), &opened.encode_batch(&sample.pixels).unwrap());
    }
}

#[test]
fn metadata_is_read_back() {
    let naive = random_encoder(Preset::Pico, 1, 28, 1);
    let written = metadata(&naive);
    let bytes = encode(&model(&naive, ElementType::F16));
    let opened = OnnxEncoder::from_bytes("m.onnx", &bytes, &OpenOptions::default()).unwrap();
    assert_eq!(opened.preprocessing(), &written.preprocessing);
    assert_eq!(opened.provenance(), Some(&written.provenance));
    assert_eq!(opened.corpus(), written.corpus.as_ref());
    assert_eq!(opened.id(), EncoderId::of_bytes(&bytes));
    assert!(!opened.preprocessing_is_assumed());
    let expected = if cpu_has_fp16() { Arithmetic::F16 } else { Arithmetic::F16WidenedToF32 };
    assert_eq!(opened.arithmetic(), expected);
    assert_eq!(open(&model(&naive, ElementType::F32)).unwrap().arithmetic(), Arithmetic::F32);
}

#[test]
fn the_feature_of_an_image_does_not_depend_on_the_others() {
    let naive = random_encoder(Preset::Pico, 1, 28, 2);
    let opened = open(&model(&naive, ElementType::F32)).unwrap();
    let sample = sample(&naive, 9);
    let together = opened.encode_batch(&sample.pixels).unwrap();
    let alone: Vec<f32> = sample.pixels.chunks(28 * 28).flat_map(|image| opened.encode_batch(image).unwrap()).collect();
    assert_eq!(together, alone);
    assert!(opened.encode_batch(&[]).unwrap().is_empty());
    let error = opened.encode_batch(&sample.pixels[1..]).unwrap_err();
    assert!(matches!(&error, EncodeError::Encoder { message, .. } if message.contains("784")), "{error}");
}

#[test]
fn f16_is_close_to_f32_however_it_is_computed() {
    let naive = random_encoder(Preset::Pico, 1, 28, 3);
    let sample = sample(&naive, 4);
    let single = open(&model(&naive, ElementType::F32)).unwrap().encode_batch(&sample.pixels).unwrap();
    let bytes = encode(&model(&naive, ElementType::F16));
    for arithmetic in [Arithmetic::F16, Arithmetic::F16WidenedToF32] {
        let options = OpenOptions { arithmetic: Some(arithmetic), ..Default::default() };
        let opened = OnnxEncoder::from_bytes("m.onnx", &bytes, &options).unwrap();
        assert_eq!(opened.arithmetic(), arithmetic);
        let half = opened.encode_batch(&sample.pixels).unwrap();
        let error = largest_error(&single, &half, opened.feature_dim());
        assert!(error > 0.0 && f64::from(error) < F16_TOLERANCE, "{arithmetic:?}: {error}");
    }
}

#[test]
fn a_value_that_f16_cannot_hold_is_refused_by_layer_and_value() {
    let mut naive = random_encoder(Preset::Pico, 1, 28, 4);
    // 65519 rounds to the largest finite f16, 65520 to infinity.
    naive.encoder.convs[1].weight[7] = 65519.0;
    assert!(to_onnx(&naive.encoder, ElementType::F16, &metadata(&naive)).is_ok());
    naive.encoder.convs[1].weight[7] = 65520.0;
    assert!(to_onnx(&naive.encoder, ElementType::F32, &metadata(&naive)).is_ok());
    let refusal = |naive: &Naive, element| to_onnx(&naive.encoder, element, &metadata(naive)).unwrap_err();
    let (layer, what, value) = ("blocks.0.conv1".to_owned(), "weight", 65520.0);
    let expected = OnnxError::Value { layer, what, index: 7, value, element: "f16", limit: 65504.0 };
    assert_eq!(refusal(&naive, ElementType::F16), expected);
    naive.encoder.convs[0].bias[3] = f32::NAN;
    let error = refusal(&naive, ElementType::F32);
    assert!(matches!(&error, OnnxError::Value { layer, what: "bias", index: 3, .. } if layer == "stem"), "{error}");
    naive.encoder.convs[0].bias.pop();
    let expected = OnnxError::Length { layer: "stem".to_owned(), what: "biases", found: 7, needed: 8 };
    assert_eq!(refusal(&naive, ElementType::F32), expected);
    naive.encoder.convs.pop();
    assert!(to_onnx(&naive.encoder, ElementType::F32, &metadata(&naive)).is_err());
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = encode(&model(&random_encoder(Preset::Pico, 1, 28, 1), ElementType::F16));
    let load = |bytes: &[u8]| OnnxEncoder::from_bytes("m.onnx", bytes, &OpenOptions::default());
    assert!(load(&bytes).is_ok());
    // Every cut near both ends, where fields are short, and some between.
    let cuts = (0..bytes.len()).filter(|cut| *cut < 200 || cut % 997 == 0 || bytes.len() - cut < 4000);
    for cut in cuts {
        let message =
            load(&bytes[..cut]).err().unwrap_or_else(|| panic!("cut at {cut}, the file was accepted")).to_string();
        assert!(message.starts_with("m.onnx"), "{message}");
    }
    assert!(load(b"\x89PNG\r\n\x1a\n no model at all").is_err());
    let missing = OnnxEncoder::open(Path::new("no/such/m.onnx")).err().unwrap();
    assert!(matches!(&missing, RuntimeError::Read { path, .. } if path == "no/such/m.onnx"), "{missing}");
}

#[test]
fn models_that_are_not_encoders_are_refused() {
    use pb::tensor_shape_proto::dimension::Value;
    type Spoil = fn(&mut pb::GraphProto);
    fn dims(value: &mut pb::ValueInfoProto) -> &mut Vec<pb::tensor_shape_proto::Dimension> {
        let Some(pb::type_proto::Value::TensorType(tensor)) = &mut value.r#type.as_mut().unwrap().value else {
            unreachable!("an exported value is a tensor")
        };
        &mut tensor.shape.as_mut().unwrap().dim
    }
    let naive = random_encoder(Preset::Pico, 1, 28, 1);
    let good = model(&naive, ElementType::F32);
    assert!(open(&good).is_ok());
    let cases: [(&str, Spoil); 9] = [
        ("image, second", |graph| {
            let mut second = graph.input[0].clone();
            second.name = "second".into();
            graph.input.push(second);
        }),
        ("0 outputs", |graph| graph.output.clear()),
        ("[?, 1, 28]", |graph| {
            dims(&mut graph.input[0]).pop();
        }),
        ("[?, 2, 28, 28]", |graph| {
            dims(&mut graph.input[0])[1].value = Some(Value::DimValue(2));
        }),
        ("29×28", |graph| {
            dims(&mut graph.input[0])[2].value = Some(Value::DimValue(29));
        }),
        ("'pool' (GlobalWishfulPool)", |graph| {
            let pool = graph.node.iter_mut().find(|node| node.name == "pool").unwrap();
            pool.op_type = "GlobalWishfulPool".into();
        }),
        ("'elsewhere'", |graph| graph.output[0].name = "elsewhere".into()),
        ("[1, 8, 28, 28]", |graph| {
            graph.output[0].name = "stem.relu".into();
        }),
        ("'stem.weight'", |graph| {
            graph.initializer.retain(|tensor| tensor.name != "stem.weight");
        }),
    ];
    for (expected, spoil) in cases {
        let mut bad = good.clone();
        spoil(bad.graph.as_mut().unwrap());
        let message = refusal(&bad);
        assert!(message.starts_with("m.onnx") && message.contains(expected), "{expected}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_foreign_file_gets_neutral_or_stated_preprocessing() {
    let naive = random_encoder(Preset::Pico, 1, 28, 6);
    let mut foreign = model(&naive, ElementType::F32);
    foreign.metadata_props.clear();
    foreign.producer_name = "pytorch".into();
    let opened = open(&foreign).unwrap();
    assert!(opened.preprocessing_is_assumed() && opened.provenance().is_none() && opened.corpus().is_none());
    assert_eq!((&opened.preprocessing().mean, &opened.preprocessing().std), (&vec![0.5], &vec![0.5]));
    let with = |preprocessing| {
        let options = OpenOptions { preprocessing: Some(preprocessing), arithmetic: None };
        OnnxEncoder::from_bytes("m.onnx", &encode(&foreign), &options)
    };
    let stated = with(naive.info.preprocessing.clone()).unwrap();
    assert_eq!(stated.preprocessing(), &naive.info.preprocessing);
    assert_ne!(stated.id(), opened.id(), "other preprocessing gives other features");
    let mut other = naive.info.preprocessing.clone();
    other.width = 32;
    let error = with(other).err().unwrap();
    assert!(matches!(error, RuntimeError::InputMismatch { model: [1, 28, 28], given: [1, 28, 32], .. }), "{error}");
    // A file of our producer name without our metadata is damaged; nothing may be assumed.
    foreign.producer_name = "macula".into();
    assert!(refusal(&foreign).contains("macula.format"));
}

#[test]
fn a_failed_parity_check_leaves_a_report_and_no_encoder() {
    let naive = random_encoder(Preset::Pico, 1, 28, 7);
    let sample = sample(&naive, 6);
    let folder = tempfile::tempdir().unwrap();
    let run = |encoder: &Naive| {
        export(&naive, &encoder.encoder, &metadata(encoder), &[], &sample, Tolerances::default(), folder.path())
            .unwrap()
    };
    let files = || {
        let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let good = run(&naive);
    assert!(good.parity.passed && good.files.len() == 2);
    assert_eq!(files(), [F16_FILE, F32_FILE, PARITY_FILE]);
    let mut other = random_encoder(Preset::Pico, 1, 28, 7);
    other.encoder.convs[0].weight[0] += 0.01;
    let bad = run(&other);
    assert!(!bad.parity.passed && bad.files.is_empty());
    assert!(bad.parity.steps[0].max_error > bad.parity.steps[0].tolerance);
    assert!(sample.names.contains(&bad.parity.steps[0].worst_image));
    assert_eq!(files(), [PARITY_FILE]);
    let report = std::fs::read(folder.path().join(PARITY_FILE)).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["passed"], false);
}

#[test]
fn corpus_statistics_are_mean_and_deviation() {
    let naive = random_encoder(Preset::Pico, 1, 28, 8);
    let dataset = data::open_named("phantoms:28:70", 3).unwrap();
    let indices = dataset.indices(None);
    let found = measure_corpus(&naive, &dataset, &indices).unwrap();
    let sample = Sample::load(&dataset, &indices, &naive.info.preprocessing).unwrap();
    let features = naive.encode_batch(&sample.pixels).unwrap();
    for d in 0..naive.feature_dim() {
        let values: Vec<f64> = features.iter().skip(d).step_by(naive.feature_dim()).map(|&v| f64::from(v)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((f64::from(found.mean[d]) - mean).abs() < 1e-6 * mean.abs().max(1.0));
        assert!((f64::from(found.std[d]) - variance.sqrt()).abs() < 1e-5, "{} {}", found.std[d], variance.sqrt());
    }
    assert!(measure_corpus(&naive, &dataset, &[]).is_err());
}

/// A network from PyTorch's exporter; `tests/vectors/torch_net.py` made it and its feature.
#[test]
fn a_network_from_pytorch_gives_pytorchs_feature() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let opened = OnnxEncoder::open(&folder.join("torch_net.onnx")).unwrap();
    assert!(opened.preprocessing_is_assumed() && opened.feature_dim() == 32);
    opened.require_input(3, 64, 64).unwrap();
    let error = opened.require_input(1, 28, 28).unwrap_err();
    assert!(matches!(error, RuntimeError::InputMismatch { model: [3, 64, 64], given: [1, 28, 28], .. }), "{error}");
    // The vector is made in NCHW; encoders read NHWC.
    let value = |pixel: usize, channel: usize| ((channel * 64 * 64 + pixel) % 97) as f32 / 97.0;
    let input: Vec<f32> = (0..64 * 64).flat_map(|pixel| [0, 1, 2].map(|channel| value(pixel, channel))).collect();
    let expected: Vec<f32> = std::fs::read(folder.join("torch_net.f32"))
        .unwrap()
        .chunks(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let error = largest_error(&expected, &opened.encode_normalised(&input).unwrap(), 32);
    assert!(error < 1e-5, "{error}");
}
