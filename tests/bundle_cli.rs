//! `keygen`, `bundle`, `verify`, `inspect` and a device with a bundle, on the command line.
#![cfg(all(feature = "cli", feature = "onnx"))]

mod naive;
mod shell;

use std::path::Path;

use macula::data;
use macula::encoder::{CorpusStatistics, HostEncoder, Preset};
use macula::export::{Sample, Tolerances, export};
use macula::runtime::{Metadata, Provenance};
use macula_edge::bundle::{BundleError, PublicKey};
use naive::{Naive, random_encoder};
use shell::{draw_pictures, expect, fails, json};

/// An export folder as `macula export` writes it.
fn shipped(folder: &Path, seed: u64) {
    let naive: Naive = random_encoder(Preset::Pico, 1, 16, seed);
    let dataset = data::open_named("phantoms:16:12", 1).unwrap();
    let sample = Sample::load(&dataset, &dataset.indices(None)[..4], &naive.info.preprocessing).unwrap();
    let dim = naive.feature_dim();
    let metadata = Metadata {
        preprocessing: naive.info.preprocessing.clone(),
        provenance: Provenance {
            program_version: "0.1.0".into(),
            method: "none".into(),
            seed,
            data: "phantoms".into(),
            encoder: naive.encoder.spec.clone(),
            config_sha256: String::new(),
            teachers: Vec::new(),
        },
        corpus: Some(CorpusStatistics { mean: vec![0.5; dim], std: vec![0.25; dim], length_max: None }),
    };
    std::fs::create_dir_all(folder).unwrap();
    let exported = export(&naive, &naive.encoder, &metadata, &[], &sample, Tolerances::default(), folder).unwrap();
    assert!(exported.parity.passed);
}

/// Keys `maker` and `stranger`, an export, and its bundles of counters 1 and 2.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    shipped(&path.join("shipped"), 1);
    for name in ["maker", "stranger"] {
        expect(0, path, &["keygen", "--out", name]);
    }
    for counter in ["1", "2"] {
        let out = format!("v{counter}.macula");
        let bundle =
            ["bundle", "shipped", "--signing-key", "maker.key", "--out", &out, "--counter", counter, "--labels", "a,b"];
        expect(0, path, &bundle);
    }
    folder
}

const UNKNOWN_KEY: BundleError = BundleError::UnknownKey { signer: PublicKey([0; 32]) };

/// Asserts that a bundle is refused for `reason`, with a message that contains `parts`.
fn refuses_bundle(folder: &Path, arguments: &[&str], reason: BundleError, parts: &[&str]) {
    assert_eq!(fails(3, "bundle-refused", folder, arguments, parts)["reason"], reason.code(), "{arguments:?}");
}

#[test]
fn a_bundle_is_made_verified_and_inspected() {
    let folder = workshop();
    let path = folder.path();
    let report = json(&expect(0, path, &["verify", "v2.macula", "--trust", "maker.pub", "--json"]).0);
    assert_eq!((&report["counter"], &report["golden_images"]), (&2.into(), &4.into()));
    assert!(report["golden_error"].as_f64().unwrap() < 1e-5, "{report}");
    refuses_bundle(path, &["verify", "v2.macula", "--trust", "stranger.pub"], UNKNOWN_KEY, &["v2.macula", "--trust"]);
    fails(2, "input", path, &["verify", "v2.macula", "--trust", "maker.key"], &["maker.key"]);
    expect(2, path, &["verify", "v2.macula"]);
    expect(2, path, &["verify", "v3.macula", "--trust", "maker.pub"]);

    let shown = json(&expect(0, path, &["inspect", "v2.macula", "--json"]).0);
    assert_eq!((&shown["verified"], &shown["manifest"]["labels"]), (&false.into(), &serde_json::json!(["a", "b"])));
    let shown = json(&expect(0, path, &["inspect", "v2.macula", "--trust", "maker.pub", "--json"]).0);
    assert_eq!((&shown["verified"], &shown["counter"]), (&true.into(), &2.into()));
    assert_eq!(shown["manifest"]["provenance"]["method"], "none");
    let (out, _) = expect(0, path, &["inspect", "v2.macula"]);
    assert!(out.contains("NOT VERIFIED"), "{out}");

    // A file that is not a bundle, and a changed bundle.
    refuses_bundle(path, &["inspect", "bright-0.png"], BundleError::NotABundle, &["bright-0.png"]);
    let mut bytes = std::fs::read(path.join("v2.macula")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path.join("changed.macula"), &bytes).unwrap();
    assert!(expect(3, path, &["inspect", "changed.macula"]).0.is_empty());
    refuses_bundle(path, &["inspect", "changed.macula"], BundleError::Hash { part: 0 }, &["changed.macula"]);
    // A key is never overwritten.
    fails(2, "exists", path, &["keygen", "--out", "maker"], &["maker.pub"]);
    expect(0, path, &["verify", "v2.macula", "--trust", "maker.pub"]);
}

#[test]
fn a_device_refuses_untrusted_keys_and_older_counters() {
    let folder = workshop();
    let path = folder.path();
    let store = ["--device", "a.store"];
    let with = |command: &'static str, more: &[&'static str]| [&[command], &store[..], more].concat();
    let teach = |class: &'static str, image: &'static str, more: &[&'static str]| {
        with("learn", &[&["--class", class, image], more].concat())
    };
    let untrusted = teach("bright", "bright-0.png", &["--encoder", "v2.macula"]);
    fails(3, "bundle-refused", path, &untrusted, &["v2.macula", "--trust"]);
    assert!(!path.join("a.store").exists(), "a refused bundle creates no store");
    expect(0, path, &teach("bright", "bright-0.png", &["--encoder", "v2.macula", "--trust", "maker.pub"]));
    // The store now records bundle and key.
    expect(0, path, &teach("dark", "dark-0.png", &[]));
    let asks = |more: &[&'static str]| {
        let report =
            json(&expect(0, path, &with("predict", &[&["--json", "dark-1.png", "bright-1.png"], more].concat())).0);
        let classes =
            report["predictions"].as_array().unwrap().iter().map(|row| row["class"].as_str().unwrap().to_owned());
        classes.collect::<Vec<_>>()
    };
    let answers = asks(&[]);
    assert_eq!(answers, ["dark", "bright"]);
    let refuses = |encoder: &'static str, reason: BundleError, parts: &[&str]| {
        refuses_bundle(path, &with("predict", &["dark-1.png", "--encoder", encoder]), reason, parts);
        assert_eq!(asks(&[]), answers, "the bundle in use is kept after {encoder}");
    };
    refuses("v1.macula", BundleError::Older { found: 1, highest: 2 }, &["counter 1", "counter 2"]);
    let make = |out: &str, key: &str, counter: &str| {
        expect(0, path, &["bundle", "shipped", "--signing-key", key, "--out", out, "--counter", counter, "--quiet"]);
    };
    make("theirs.macula", "stranger.key", "9");
    refuses("theirs.macula", UNKNOWN_KEY, &["theirs.macula"]);
    let mut cut = std::fs::read(path.join("v2.macula")).unwrap();
    cut.truncate(cut.len() - 1);
    std::fs::write(path.join("cut.macula"), cut).unwrap();
    refuses("cut.macula", BundleError::Length { found: 0, stated: 0 }, &["cut.macula"]);
    // Another bundle with the counter in use is refused. A newer one is accepted, and older ones are refused afterwards.
    make("same.macula", "maker.key", "2");
    refuses("same.macula", BundleError::SameCounter { found: 2 }, &["counter 2"]);
    make("v3.macula", "maker.key", "3");
    assert_eq!(asks(&["--encoder", "v3.macula"]), answers);
    let older = with("predict", &["dark-1.png", "--encoder", "v2.macula"]);
    refuses_bundle(path, &older, BundleError::Older { found: 2, highest: 3 }, &["counter 2", "counter 3"]);
    // A reset removes the samples but keeps the counter and the key.
    expect(0, path, &with("reset", &["--yes", "--encoder", "v3.macula"]));
    expect(3, path, &with("status", &["--encoder", "v2.macula"]));
    let status = json(&expect(0, path, &with("status", &["--encoder", "v3.macula", "--json"])).0);
    assert_eq!(status["supports"], 0);
    let self_test = json(&expect(0, path, &with("self-test", &["--encoder", "v3.macula", "--json"])).0);
    assert_eq!(self_test[2]["outcome"], "passed", "the golden images: {self_test}");
}

#[test]
fn another_encoder_is_refused_by_the_store_but_can_be_evaluated() {
    let folder = workshop();
    let path = folder.path();
    shipped(&path.join("other"), 2);
    expect(0, path, &["bundle", "other", "--signing-key", "maker.key", "--out", "other.macula", "--counter", "5"]);
    let learn = ["learn", "--device", "a.store", "--encoder", "v1.macula", "--trust", "maker.pub", "--class", "dark"];
    expect(0, path, &[&learn[..], &["dark-0.png"]].concat());
    let other = ["predict", "--device", "a.store", "--encoder", "other.macula", "dark-1.png"];
    fails(2, "other-encoder", path, &other, &["a.store", "other.macula"]);
    // The bundle was not used, so the counter does not change.
    expect(0, path, &["predict", "--device", "a.store", "dark-1.png"]);
    let eval = ["eval", "knn", "--encoder", "other.macula", "--data", "phantoms:16:30", "--json", "--quiet"];
    expect(3, path, &eval);
    let report = json(&expect(0, path, &[&eval[..], &["--trust", "maker.pub"]].concat()).0);
    assert!(report["rows"][0].to_string().contains("other.macula"), "{report}");
}

#[test]
fn features_of_another_runtime_become_golden_features() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/torch_net.onnx");
    std::fs::copy(vectors, path.join("net.onnx")).unwrap();
    expect(0, path, &["keygen", "--out", "maker"]);
    let net = ["--encoder", "net.onnx", "--preprocessing", "imagenet", "--data", "phantoms:64:6"];
    expect(0, path, &[&["embed", "--out", "reference.npy", "--quiet"], &net[..]].concat());
    let bundle = |reference: &'static str| {
        let own = ["bundle", "--signing-key", "maker.key", "--out", "net.macula", "--json", "--reference", reference];
        [&own[..], &net].concat()
    };
    let report = json(&expect(0, path, &bundle("reference.npy")).0);
    assert_eq!(report["golden_images"], 6);
    expect(0, path, &["verify", "net.macula", "--trust", "maker.pub"]);
    std::fs::remove_file(path.join("net.macula")).unwrap();

    // A changed value, a NaN, a truncated file and a file of another kind.
    let mut bytes = std::fs::read(path.join("reference.npy")).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&100.0f32.to_le_bytes());
    std::fs::write(path.join("other.npy"), &bytes).unwrap();
    expect(3, path, &bundle("other.npy"));
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(path.join("nan.npy"), &bytes).unwrap();
    expect(2, path, &bundle("nan.npy"));
    std::fs::write(path.join("cut.npy"), &bytes[..end - 4]).unwrap();
    expect(2, path, &bundle("cut.npy"));
    expect(2, path, &bundle("net.onnx"));
    assert!(!path.join("net.macula").exists());
}

#[test]
fn a_foreign_encoder_needs_stated_preprocessing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/torch_net.onnx");
    std::fs::copy(vectors, path.join("net.onnx")).unwrap();
    expect(0, path, &["keygen", "--out", "maker"]);
    let bundle = ["bundle", "--encoder", "net.onnx", "--signing-key", "maker.key", "--out", "net.macula"];
    let in_bytes = ["--mean", "123.675,116.28,103.53", "--std", "58.395,57.12,57.375"];
    for (more, parts) in [
        (&[][..], ["net.onnx", "--preprocessing", "--mean"]),
        (&["--mean", "0.5,0.5", "--std", "0.5"], ["--mean", "2 values", "3 channels"]),
        (&["--mean", "0.5", "--std", "0.5", "--size", "32"], ["net.onnx", "3 channels", "64×64"]),
        (&in_bytes, ["mean", "123.675", "0.4850"]),
    ] {
        fails(2, "input", path, &[&bundle[..], more].concat(), &parts);
    }
    assert!(!path.join("net.macula").exists());
    let recipe = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225", "--data", "phantoms:64:24"];
    expect(0, path, &[&bundle[..], &recipe].concat());
    let shown = json(&expect(0, path, &["inspect", "net.macula", "--trust", "maker.pub", "--json"]).0);
    let names: Vec<_> = shown["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["manifest", "ONNX encoder", "golden images", "corpus statistics"]);
    assert_eq!(shown["manifest"]["labels"].as_array().unwrap().len(), 6, "the classes of the dataset");
    let learn = ["learn", "--device", "a.store", "--encoder", "net.macula", "--trust", "maker.pub", "--class", "dark"];
    expect(0, path, &[&learn[..], &["dark-0.png"]].concat());
    expect(0, path, &["learn", "--device", "a.store", "--class", "bright", "bright-0.png"]);
    expect(0, path, &["predict", "--device", "a.store", "dark-1.png"]);
}
