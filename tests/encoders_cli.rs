//! Encoders by name on the command line: every command opens every name, or refuses it with the reason.
#![cfg(all(feature = "host", feature = "onnx"))]

mod crafted;
mod shell;

use std::path::Path;

use shell::{draw_pictures, expect, fails, json};

/// A folder with pictures, a foreign ONNX file, an export and a run.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/torch_net.onnx");
    std::fs::copy(vectors, path.join("net.onnx")).unwrap();
    folder
}

/// The words of a line.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A name and its properties: an encoder that needs no images, weights to train further, an ONNX file, any file.
struct Kind {
    name: &'static str,
    needs_images: bool,
    has_weights: bool,
    is_onnx: bool,
    is_file: bool,
}

const fn kind(name: &'static str, what: &str) -> Kind {
    let [needs_images, has_weights, is_onnx, is_file] = match what.as_bytes() {
        b"random" => [true, false, false, false],
        b"weights" => [false, true, false, false],
        b"onnx" => [false, false, true, true],
        b"weights and onnx" => [false, true, true, true],
        b"file" => [false, false, false, true],
        _ => [false; 4],
    };
    Kind { name, needs_images, has_weights, is_onnx, is_file }
}

const MODEL_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/grey-64");

const KINDS: [Kind; 10] = [
    kind("grey-64", "weights"),
    kind("run", "weights"),
    kind(MODEL_FOLDER, "weights and onnx"),
    kind("export", "onnx"),
    kind("export/encoder.onnx", "onnx"),
    kind("net.macula", "file"),
    kind("export/encoder.f16.blob", "file"),
    kind("raw-pixels", "baseline"),
    kind("colour-statistics", "baseline"),
    kind("random:pico", "random"),
];

/// Every command with every kind of name: it opens the encoder (exit code 0), or refuses it by name (exit code 2).
#[test]
fn every_command_opens_or_refuses_every_name() {
    let folder = workshop();
    let path = folder.path();
    for line in [
        "export grey-64 --out export --data phantoms:28:40 --count 20 --blob f16 --quiet",
        "pretrain --data phantoms:28:40 --init grey-64 --method simclr --epochs 1 --out run --quiet",
        "keygen --out maker",
        "bundle export --signing-key maker.key --out net.macula --quiet",
    ] {
        expect(0, path, &words(line));
    }
    for (number, Kind { name, needs_images, has_weights, is_onnx, is_file }) in KINDS.iter().enumerate() {
        let trust = if *name == "net.macula" { " --trust maker.pub" } else { "" };
        let check = |opens: bool, line: &str| {
            let line = line.replace("NAME", name).replace("NUMBER", &number.to_string());
            let (_, err) = expect(if opens { 0 } else { 2 }, path, &words(&line));
            assert!(opens || err.contains(name), "{line}: {err}");
        };
        let runs = !needs_images;
        check(runs, &format!("embed bright-0.png --encoder NAME --out NUMBER.npy{trust}"));
        check(true, &format!("embed --data phantoms:28:40 --encoder NAME --out NUMBER-data.npy --quiet{trust}"));
        check(runs, &format!("learn --device NUMBER.store --class a bright-0.png --encoder NAME{trust}"));
        if runs {
            // The store records its encoder, so `--encoder` is not needed.
            expect(0, path, &words(&format!("learn --device {number}.store --class b dark-0.png")));
            let has_onnx = *is_onnx || *name == "net.macula";
            expect(
                if has_onnx { 0 } else { 2 },
                path,
                &words(&format!("export-head --device {number}.store --out {number}.onnx")),
            );
        }
        check(true, &format!("eval knn --data phantoms:28:40 --quiet --encoder NAME{trust}"));
        check(*has_weights, "export NAME --out export-NUMBER --data phantoms:28:40 --count 5 --quiet");
        check(*is_onnx, "bundle NAME --signing-key maker.key --out NUMBER.macula --quiet");
        check(
            *has_weights,
            "pretrain --data phantoms:28:40 --init NAME --method simclr --epochs 1 --out run-NUMBER --quiet",
        );
        if !is_file {
            check(false, "deploy no-such-host --encoder NAME");
        }
        // Each takes four seconds.
        if ["grey-64", "random:pico"].contains(name) {
            check(true, "bench encoder --batch-size 2 --json --encoder NAME");
        }
    }
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let folder = workshop();
    let path = folder.path();
    std::fs::write(path.join("notes.txt"), "no encoder").unwrap();
    for name in ["grey-29", "notes.txt"] {
        for command in [
            "embed bright-0.png --out x.npy",
            "learn --device x.store --class a bright-0.png",
            "eval knn --data phantoms:16:40",
            "bench encoder",
        ] {
            let (_, err) = expect(2, path, &[&words(command)[..], &["--encoder", name]].concat());
            assert!(err.contains(name) && err.contains("grey-64") && err.contains("raw-pixels"), "{err}");
        }
        let (_, err) = expect(
            2,
            path,
            &["pretrain", "--init", name, "--data", "phantoms:16:40", "--method", "simclr", "--out", "never"],
        );
        assert!(err.contains(name) && err.contains("grey-64"), "{err}");
    }
}

#[test]
fn preprocessing_is_stated_or_the_encoder_is_refused() {
    let folder = workshop();
    let path = folder.path();
    let commands = [
        "embed bright-0.png --out x.npy",
        "learn --device x.store --class a bright-0.png",
        "eval knn --data phantoms:64:40 --quiet",
        "device --store y.store --listen tcp:127.0.0.1:0",
        "bench encoder --batch-size 2",
    ];
    for command in commands {
        let with = |more: &[&'static str]| [&words(command)[..], &["--encoder", "net.onnx"], more].concat();
        let (_, err) = expect(2, path, &with(&[]));
        assert!(err.contains("--preprocessing") && err.contains("--mean"), "{err}");
        let (_, err) = expect(2, path, &with(&["--mean", "123.675", "--std", "0.5"]));
        assert!(err.contains("123.675"), "{err}");
        expect(2, path, &with(&["--mean", "0.5", "--std", "0"]));
        if !command.starts_with("device") {
            let more: &[&str] = if command.starts_with("eval") { &["--size", "64", "--channels", "3"] } else { &[] };
            expect(0, path, &with(&[&["--preprocessing", "imagenet"], more].concat()));
        }
        assert!(!path.join("y.store").exists());
    }
    // Preprocessing by name and by the same values give the same encoder; other values give another.
    let embed = |out: &str, more: &str| {
        let line = format!("embed bright-0.png --encoder net.onnx --force --out {out} {more}");
        expect(0, path, &words(&line));
        std::fs::read(path.join(out)).unwrap()
    };
    let named = embed("a.npy", "--preprocessing imagenet");
    assert_eq!(named, embed("b.npy", "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --layout nchw --size 64"));
    assert_ne!(named, embed("c.npy", "--preprocessing half"));
    // An encoder with its own preprocessing accepts no other.
    expect(2, path, &words("embed bright-0.png --encoder grey-64 --preprocessing half --out x.npy"));
    expect(2, path, &words("embed bright-0.png --encoder net.onnx --preprocessing half --layout nhwc --out x.npy"));
}

#[test]
fn a_store_remembers_stated_preprocessing() {
    let folder = workshop();
    let path = folder.path();
    let learn = "learn --device a.store --class bright bright-0.png --encoder net.onnx";
    expect(0, path, &words(&format!("{learn} --preprocessing half")));
    expect(0, path, &words("learn --device a.store --class dark dark-0.png"));
    let predicted = json(&expect(0, path, &words("predict --device a.store --json dark-0.png")).0);
    assert_eq!(predicted["predictions"][0]["nearest"][0]["class"], "dark", "{predicted}");
    expect(0, path, &words("export-head --device a.store --out head.onnx"));
    // Another preprocessing is another encoder.
    let imagenet = format!("{learn} --preprocessing imagenet");
    fails(2, "other-encoder", path, &words(&imagenet), &["a.store", "net.onnx"]);
}

#[test]
fn a_feature_too_large_for_a_store_is_refused_before_there_is_one() {
    let folder = workshop();
    let path = folder.path();
    // A feature of 65 × 65 values; a store takes 4096.
    std::fs::write(path.join("flat.onnx"), crafted::encoded(&crafted::flat(&[1, 1, 65, 65]))).unwrap();
    let (_, err) = expect(
        2,
        path,
        &words("learn --device a.store --encoder flat.onnx --preprocessing unit --class a bright-0.png"),
    );
    assert!(err.contains("4225") && err.contains("4096"), "{err}");
    assert!(!path.join("a.store").exists());
}
