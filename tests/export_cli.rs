//! `macula export` as a user runs it: its files and its exit codes.
#![cfg(all(feature = "cli", feature = "onnx"))]

mod shell;

use std::path::Path;
use std::process::{Command, Output};

fn macula(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_macula")).current_dir(folder).args(arguments).output().unwrap()
}

/// Exit code, and standard error.
fn outcome(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_run_is_exported_and_a_parity_beyond_its_tolerance_is_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let train = "pretrain --data phantoms:28:120 --method rotation --encoder pico --channels 1 --size 28 \
                 --epochs 1 --batch-size 16 --quiet --out run";
    let trained = macula(folder.path(), &train.split_whitespace().collect::<Vec<_>>());
    assert_eq!(trained.status.code(), Some(0), "{}", outcome(&trained).1);
    let export = |arguments: &[&str]| {
        macula(
            folder.path(),
            &[&["export", "run", "--out", "out", "--count", "20", "--json", "--force"], arguments].concat(),
        )
    };
    let there = |name: &str| folder.path().join("out").join(name).exists();

    let good = export(&[]);
    assert_eq!(good.status.code(), Some(0), "{}", outcome(&good).1);
    let report: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!((&report["passed"], &report["images"]), (&true.into(), &20.into()));
    assert!(there("encoder.onnx") && there("encoder.f16.onnx") && there("parity.json"));

    assert!(!there("encoder.f16.blob") && !there("encoder.int8.blob"));

    let blobs = export(&["--blob", "f16,int8", "--calibration-count", "8"]);
    assert_eq!(blobs.status.code(), Some(0), "{}", outcome(&blobs).1);
    let report: serde_json::Value = serde_json::from_slice(&blobs.stdout).unwrap();
    assert_eq!((&report["steps"][2]["file"], &report["steps"][3]["file"]), (&"f16 blob".into(), &"int8 blob".into()));
    assert!(there("encoder.f16.blob") && there("encoder.int8.blob"));
    let (code, message) = outcome(&export(&["--blob", "int8", "--calibration-count", "8", "--ram", "19000"]));
    assert_eq!(code, Some(3), "{message}");
    // Three maps of 28×28×8, and two patches of 3×3×32 i16.
    assert!(message.contains("19968 bytes") && message.contains("19000"), "{message}");

    // No f16 file is exact: a tolerance of 0 cannot be met.
    let (code, message) = outcome(&export(&["--f16-tolerance", "0"]));
    assert_eq!(code, Some(3), "{message}");
    assert!(message.contains("f16") && message.contains("run"), "{message}");
    assert!(!there("encoder.onnx") && !there("encoder.f16.onnx") && there("parity.json"));
}

#[test]
fn weights_go_out_without_the_place_where_the_images_lay() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("ward-7/images");
    std::fs::create_dir_all(&images).unwrap();
    shell::draw_pictures(&images);
    let train = ["pretrain", "--data", "ward-7/images", "--method", "rotation", "--encoder", "pico", "--channels", "1"];
    let small =
        ["--size", "28", "--epochs", "1", "--batch-size", "4", "--validate", "never", "--quiet", "--out", "run"];
    shell::expect(0, folder.path(), &[&train[..], &small].concat());
    shell::expect(0, folder.path(), &["export", "run", "--out", "out", "--weights", "--quiet"]);
    let written = std::fs::read(folder.path().join("out/encoder.safetensors")).unwrap();
    let has = |text: &[u8]| written.windows(text.len()).any(|window| window == text);
    assert!(has(b"images") && !has(b"ward-7"));
}

#[test]
fn what_cannot_be_exported_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let (code, message) = outcome(&macula(folder.path(), &["export", "no-run", "--out", "out"]));
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("'no-run'"), "{message}");
    assert!(!folder.path().join("out").exists(), "a refused export leaves nothing behind");
}
