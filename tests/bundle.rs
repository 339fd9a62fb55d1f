//! Bundles of real encoders: made, opened, and damaged in every way.
#![cfg(feature = "onnx")]

use std::path::Path;

use macula::bundle::{
    self, Bundle, BundleContents, BundleError, KeyPair, Limits, MakeError, OpenError, Origin, PartKind, PublicKey,
};
use macula::data::{self, Image, Preprocessing};
use macula::encoder::{
    Activation, Conv, ConvKind, CorpusStatistics, EncoderSpec, FoldedConv, FoldedEncoder, HostEncoder, InputShape,
    Node, Readout,
};
use macula::export::to_onnx;
use macula::isolated::OnnxHost;
use macula::rng::Rng;
use macula::runtime::{ElementType, Metadata, OnnxEncoder, OpenOptions, Provenance, encode};
use rayon::prelude::*;

fn key(seed: u8) -> KeyPair {
    KeyPair::from_secret([seed; 32])
}

/// The smallest encoder: one convolution over 8×8 grey pixels.
fn tiny(scale: f32) -> Vec<u8> {
    let conv = Conv {
        name: "only".into(),
        norm: String::new(),
        kind: ConvKind::Full3x3,
        channels_in: 1,
        channels_out: 8,
        stride: 2,
        activation: Activation::Relu,
    };
    let input = InputShape { channels: 1, height: 8, width: 8 };
    let spec = EncoderSpec {
        name: "tiny".into(),
        input,
        readout: Readout::default(),
        nodes: vec![Node::Conv { input: 0, conv }],
    };
    let mut rng = Rng::for_purpose(1, "tiny");
    let weight = (0..72).map(|_| scale * rng.normal()).collect();
    let encoder =
        FoldedEncoder { spec: spec.clone(), convs: vec![FoldedConv { weight, bias: vec![0.1 * scale; 8] }], map: None };
    let metadata = Metadata {
        preprocessing: recipe(),
        provenance: Provenance {
            program_version: "0.1.0".into(),
            method: "none".into(),
            seed: 7,
            data: "drawn".into(),
            encoder: spec,
            config_sha256: String::new(),
            teachers: Vec::new(),
        },
        corpus: None,
    };
    encode(&to_onnx(&encoder, ElementType::F16, &metadata).unwrap())
}

fn recipe() -> Preprocessing {
    Preprocessing { mean: vec![0.5], std: vec![0.25], ..Preprocessing::unit(1, 8, 8) }
}

fn picture(width: usize, height: usize, step: usize) -> Image {
    Image { width, height, channels: 1, pixels: (0..width * height).map(|i| (i * i * step % 251) as u8).collect() }
}

fn contents(onnx: &[u8]) -> BundleContents<'_> {
    BundleContents {
        onnx_name: "tiny",
        onnx,
        blob: None,
        preprocessing: recipe(),
        corpus: None,
        golden: vec![picture(8, 8, 3), picture(11, 9, 5)],
        reference: None,
        tolerance: None,
        labels: vec!["bright".into(), "dark".into()],
        limits: Limits { classes: 4, supports: 100, arena_bytes: None },
        origin: Origin { name: "tiny".into(), origin: None },
        host: OnnxHost::InProcess,
    }
}

fn made(scale: f32, counter: u64) -> Vec<u8> {
    let onnx = tiny(scale);
    bundle::make(&contents(&onnx), counter, &key(1)).unwrap().bytes().to_vec()
}

fn open(bytes: Vec<u8>) -> Result<Bundle, OpenError> {
    Bundle::from_bytes("a.macula", bytes, &[key(1).public()])
}

/// The bundle with one part replaced, signed again with its key.
fn replaced(bytes: &[u8], kind: PartKind, part: &[u8]) -> Vec<u8> {
    let bundle = open(bytes.to_vec()).unwrap();
    let parts: Vec<(PartKind, &[u8])> = PartKind::ALL
        .into_iter()
        .filter_map(|known| Some((known, if known == kind { part } else { bundle.part(known)? })))
        .collect();
    let (key, mut written) = (key(1), Vec::new());
    let sign = |signed: &[u8]| key.sign(signed);
    let out = &mut |piece: &[u8]| written.extend_from_slice(piece);
    macula_edge::bundle::write(&parts, bundle.header().counter, key.public(), sign, out).unwrap();
    written
}

#[test]
fn a_bundle_opens_with_the_contents_it_was_made_from() {
    let onnx = tiny(1.0);
    let bundle = open(made(1.0, 3)).unwrap();
    let manifest = bundle.manifest();
    assert_eq!((bundle.header().counter, manifest.encoder.feature_dim), (3, 8));
    assert_eq!((&manifest.preprocessing, &manifest.labels[..]), (&recipe(), &["bright".into(), "dark".into()][..]));
    assert_eq!((manifest.limits.classes, manifest.limits.supports), (4, 100));
    let provenance = &manifest.provenance;
    assert_eq!((provenance.seed, provenance.data.as_deref()), (Some(7), Some("drawn")));
    assert_eq!(bundle.part(PartKind::Onnx), Some(&onnx[..]));
    let (encoder, error) = bundle.encoder().unwrap();
    assert!(error < 1e-6, "{error}");
    let bare = OnnxEncoder::from_bytes("tiny", &onnx, &OpenOptions::default()).unwrap();
    assert_eq!(encoder.id(), bare.id(), "a store of the bare file accepts the bundle");
    let pixels = recipe().to_pixels(&picture(20, 30, 7)).pixels;
    // The bundle's encoder runs on the native engine, the bare file by tract.
    let pairs = encoder.encode_batch(&pixels).unwrap().into_iter().zip(bare.encode_batch(&pixels).unwrap());
    pairs.for_each(|(found, expected)| assert!((found - expected).abs() < 1e-6, "{found} {expected}"));
    assert_eq!(made(1.0, 3), made(1.0, 3), "the same contents give the same bytes");
}

#[test]
fn every_changed_bit_is_refused() {
    let bytes = made(1.0, 1);
    assert!(open(bytes.clone()).is_ok());
    let accepted = (0..bytes.len() * 8).into_par_iter().find_any(|bit| {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        open(changed).is_ok()
    });
    assert_eq!(accepted, None, "of {} bits", bytes.len() * 8);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = made(1.0, 1);
    let accepted = (0..bytes.len()).into_par_iter().find_any(|&len| open(bytes[..len].to_vec()).is_ok());
    assert_eq!(accepted, None, "of {} lengths", bytes.len());
    assert!(open([&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn another_key_is_refused_by_name() {
    let bytes = made(1.0, 1);
    let error = Bundle::from_bytes("a.macula", bytes, &[key(2).public()]).err().unwrap();
    assert_eq!(error.reason(), BundleError::UnknownKey { signer: key(1).public() }, "{error}");
}

/// A part of one valid bundle is refused in another one, with its table entry and without.
#[test]
fn parts_swapped_between_two_bundles_are_refused() {
    let (first, second) = (made(1.0, 1), made(0.5, 2));
    let (ours, theirs) = (open(first.clone()).unwrap(), open(second.clone()).unwrap());
    for (index, part) in ours.header().parts().iter().enumerate() {
        let other = theirs.header().parts()[index];
        if part.kind == PartKind::Golden as u16 || part.kind == PartKind::Onnx as u16 {
            assert_eq!(part.range(), other.range(), "of one shape, so that only the hash differs");
        }
        if part.range() != other.range() {
            continue;
        }
        let place = part.range().start as usize..part.range().end as usize;
        let entry = 64 + 48 * index..64 + 48 * (index + 1);
        let mut swapped = first.clone();
        swapped[place.clone()].copy_from_slice(&second[place]);
        assert!(matches!(refusal(&swapped), BundleError::Hash { .. }), "part {index}");
        swapped[entry.clone()].copy_from_slice(&second[entry]);
        assert_eq!(refusal(&swapped), BundleError::Signature, "part {index} with its entry");
    }
}

fn refusal(bytes: &[u8]) -> BundleError {
    open(bytes.to_vec()).err().expect("a bundle that was changed is refused").reason()
}

#[test]
fn an_encoder_that_gives_other_features_is_refused() {
    let bytes = made(1.0, 1);
    let good = open(bytes.clone()).unwrap();
    let golden = good.part(PartKind::Golden).unwrap();
    // The last four bytes are the last value of the last feature.
    let at = golden.len() - 4;
    let feature = good.golden().unwrap().images().last().unwrap().feature().collect::<Vec<f32>>();
    let length = feature.iter().map(|value| value * value).sum::<f32>().sqrt();
    for (share, is_taken) in [(0.5, true), (2.0, false), (f32::NAN, false)] {
        let mut changed = golden.to_vec();
        let value = feature[7] + share * 2e-2 * length;
        changed[at..].copy_from_slice(&value.to_le_bytes());
        let outcome = open(replaced(&bytes, PartKind::Golden, &changed)).unwrap().encoder();
        match outcome {
            Ok((_, error)) => assert!(is_taken && error > 0.5e-2, "{share} of the tolerance: {error}"),
            Err(error) => {
                assert!(!is_taken && error.is_check(), "{share} of the tolerance: {error}");
                assert_eq!(error.reason(), BundleError::Golden { image: 1 });
            }
        }
    }
}

#[test]
fn signed_parts_that_do_not_fit_are_refused() {
    let bytes = made(1.0, 1);
    let content = |kind| BundleError::Content { kind };
    let manifest = |spoil: &dyn Fn(&mut serde_json::Value)| {
        let mut manifest =
            serde_json::from_slice(open(bytes.clone()).unwrap().part(PartKind::Manifest).unwrap()).unwrap();
        spoil(&mut manifest);
        replaced(&bytes, PartKind::Manifest, &serde_json::to_vec(&manifest).unwrap())
    };
    for (spoiled, value) in [
        (manifest(&|manifest| manifest["format"] = 2.into()), "2"),
        (manifest(&|manifest| manifest["limits"]["classes"] = 0.into()), "0"),
        (manifest(&|manifest| manifest["limits"]["supports"] = 70_000.into()), "70000"),
        (manifest(&|manifest| manifest["golden"]["tolerance"] = 1.5.into()), "1.5"),
        (manifest(&|manifest| manifest["name"] = 3.into()), "3"),
        (replaced(&bytes, PartKind::Manifest, b"{"), "line 1"),
    ] {
        let error = open(spoiled).err().unwrap();
        assert!(error.to_string().contains(value) && error.is_check(), "{value}: {error}");
        assert_eq!(error.reason(), content(PartKind::Manifest));
    }
    for (spoiled, kind) in [
        (manifest(&|manifest| manifest["encoder"]["feature_dim"] = 9.into()), PartKind::Onnx),
        (manifest(&|manifest| manifest["encoder"]["identity"] = "00".into()), PartKind::Onnx),
        (replaced(&bytes, PartKind::Onnx, b"no model"), PartKind::Onnx),
        (replaced(&bytes, PartKind::Golden, &[1; 20]), PartKind::Golden),
        (replaced(&bytes, PartKind::Onnx, &tiny(2.0)), PartKind::Onnx),
    ] {
        assert_eq!(open(spoiled).unwrap().encoder().err().unwrap().reason(), content(kind));
    }
}

#[test]
fn golden_images_that_test_nothing_are_refused() {
    let (dead, good) = (tiny(0.0), tiny(1.0));
    let make = |contents: &BundleContents<'_>| bundle::make(contents, 1, &key(1)).map(drop);
    assert!(make(&contents(&good)).is_ok());
    assert!(matches!(make(&contents(&dead)), Err(MakeError::DeadGolden)));
    let alike = BundleContents { golden: vec![picture(8, 8, 3); 2], ..contents(&good) };
    assert!(matches!(make(&alike), Err(MakeError::DeadGolden)));
    let none = BundleContents { golden: Vec::new(), ..contents(&good) };
    assert!(matches!(make(&none), Err(MakeError::NoGolden)));
    let no_blob = BundleContents { blob: Some(b"MCLB"), ..contents(&good) };
    assert!(matches!(make(&no_blob), Err(MakeError::Blob(_))));
}

#[test]
fn a_bundle_carries_statistics_that_its_encoder_lacks() {
    let onnx = tiny(1.0);
    let dataset = data::open_named("phantoms:16:40", 2).unwrap();
    let bare = contents(&onnx).encoder().unwrap();
    let measured = bundle::measure(&bare, &dataset, &dataset.indices(None)).unwrap();
    let with = BundleContents { corpus: Some(measured.clone()), ..contents(&onnx) };
    let opened = bundle::make(&with, 1, &key(1)).unwrap();
    let (encoder, _) = opened.encoder().unwrap();
    assert_eq!(encoder.corpus(), Some(&measured));
    assert_ne!(encoder.id(), bare.id(), "statistics change the quantised feature");

    let one = dataset.indices(None)[..1].to_vec();
    assert!(matches!(bundle::measure(&bare, &dataset, &one), Err(MakeError::NoCorpus)));
}

/// A network as exported by PyTorch, from `tests/vectors/torch_net.py`.
#[test]
fn a_foreign_encoder_is_bundled_unchanged() {
    let onnx = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/torch_net.onnx")).unwrap();
    let preprocessing = Preprocessing {
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
        ..Preprocessing::unit(3, 64, 64)
    };
    let golden = bundle::drawn(&preprocessing, 2, 1).unwrap();
    assert!(golden.iter().all(|image| image.channels == 3 && !image.is_grey()) && golden[0].width != golden[1].width);
    let foreign = BundleContents { preprocessing: preprocessing.clone(), golden, ..contents(&onnx) };
    let bundle = bundle::make(&foreign, 1, &key(1)).unwrap();
    assert_eq!(bundle.part(PartKind::Onnx), Some(&onnx[..]));
    let (encoder, _) = bundle.encoder().unwrap();
    assert_eq!((encoder.preprocessing(), bundle.manifest().encoder.element.as_str()), (&preprocessing, "f32"));
    assert_eq!((encoder.feature_dim(), encoder.corpus()), (32, None));
    let corpus = CorpusStatistics { mean: vec![0.0; 31], std: vec![1.0; 31], length_max: None };
    let short = BundleContents { corpus: Some(corpus), golden: foreign.golden.clone(), ..foreign };
    assert!(matches!(bundle::make(&short, 1, &key(1)), Err(MakeError::Made(OpenError::Content { .. }))));
}

#[test]
fn the_claimed_signer_is_read_without_trusting_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.macula");
    let bytes = made(1.0, 1);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(Bundle::claimed_signer(&path).unwrap(), key(1).public());
    assert!(Bundle::open(&path, &[PublicKey([0; 32])]).is_err());
    std::fs::write(&path, &bytes[..40]).unwrap();
    assert_eq!(Bundle::claimed_signer(&path).unwrap_err().reason(), BundleError::NotABundle);
    let missing = folder.path().join("b.macula");
    assert!(!Bundle::claimed_signer(&missing).unwrap_err().is_check());
}
