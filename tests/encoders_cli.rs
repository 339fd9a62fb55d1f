//! Encoders by name on the command line: every command opens every name, or refuses it with the reason.
#![cfg(all(feature = "host", feature = "onnx"))]

mod crafted;
mod shell;

use std::path::Path;

use shell::{draw_pictures, expect, fails, json};

/// Pictures, a foreign ONNX file, an export and a run's worth of names to open.
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

#[test]
fn every_command_opens_every_name() {
    let folder = workshop();
    let path = folder.path();
    let export = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/grey-28");
    let blob = "export grey-28 --out export --data phantoms:28:40 --count 20 --blob f16 --quiet";
    expect(0, path, &words(blob));
    expect(
        0,
        path,
        &words("pretrain --data phantoms:28:40 --init grey-28 --method simclr --epochs 1 --out run --quiet"),
    );
    expect(0, path, &words("keygen --out maker"));
    expect(0, path, &words("bundle export --signing-key maker.key --out net.macula --quiet"));
    let folder_of_models = export.to_str().unwrap();
    for (number, name) in [
        "grey-28",
        "run",
        "export",
        "net.macula",
        "export/encoder.onnx",
        "export/encoder.f16.blob",
        folder_of_models,
        "raw-pixels",
        "colour-statistics",
    ]
    .into_iter()
    .enumerate()
    {
        let more: &[&str] = if name == "net.macula" { &["--trust", "maker.pub"] } else { &[] };
        let with = |line: &'static str| [&words(line)[..], &["--encoder", name], more].concat();
        let out = format!("{number}.npy");
        expect(0, path, &[&with("embed bright-0.png"), &["--out", &out, "--force"][..]].concat());
        let store = format!("{number}.store");
        expect(0, path, &[&with("learn --class a bright-0.png"), &["--device", &store][..]].concat());
        // The store finds its encoder again by itself.
        expect(0, path, &["learn", "--device", &store, "--class", "b", "dark-0.png"]);
        expect(0, path, &with("eval knn --data phantoms:28:40 --quiet"));
        // It takes four seconds.
        if name == "grey-28" {
            expect(0, path, &with("bench encoder --batch-size 2 --json"));
        }
    }
    expect(0, path, &words("embed --encoder random:pico --data phantoms:28:40 --out random.npy --quiet"));
    for (command, encoder) in [
        ("embed bright-0.png --out x.npy", "random:pico"),
        ("learn --device x.store --class a bright-0.png", "random:pico"),
    ] {
        let (_, err) = expect(2, path, &[&words(command)[..], &["--encoder", encoder]].concat());
        assert!(err.contains("random:pico"), "{err}");
    }
    for name in ["net.onnx", "net.macula", "export/encoder.f16.blob", "raw-pixels", "random:pico"] {
        let line = format!("pretrain --data phantoms:28:40 --init {name} --method simclr --out never");
        let (_, err) = expect(2, path, &words(&line));
        assert!(err.contains(name) && err.contains("grey-28"), "{err}");
    }
}

#[test]
fn an_unknown_name_lists_what_there_is() {
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
            assert!(err.contains(name) && err.contains("grey-28") && err.contains("raw-pixels"), "{err}");
        }
        let (_, err) = expect(
            2,
            path,
            &["pretrain", "--init", name, "--data", "phantoms:16:40", "--method", "simclr", "--out", "never"],
        );
        assert!(err.contains(name) && err.contains("grey-28"), "{err}");
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
    // By name and by values are one encoder; other values are another.
    let embed = |out: &str, more: &str| {
        let line = format!("embed bright-0.png --encoder net.onnx --force --out {out} {more}");
        expect(0, path, &words(&line));
        std::fs::read(path.join(out)).unwrap()
    };
    let named = embed("a.npy", "--preprocessing imagenet");
    assert_eq!(named, embed("b.npy", "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --layout nchw --size 64"));
    assert_ne!(named, embed("c.npy", "--preprocessing half"));
    // An encoder that brings its own takes no other.
    expect(2, path, &words("embed bright-0.png --encoder grey-28 --preprocessing half --out x.npy"));
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
