//! `macula demo`: pretrain, export, evaluate and teach, from start to end.
#![cfg(feature = "onnx")]

use std::process::Command;

fn demo(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_macula")).arg("demo").args(arguments).output().unwrap()
}

#[test]
fn the_demo_beats_its_baselines_and_keeps_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let (out, picture) = (folder.path().join("out"), folder.path().join("phantoms.png"));
    let output = demo(&["--json", "--out", out.to_str().unwrap(), "--sheet", picture.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let five_shots = |row: usize| report["few_shot"][row]["balanced_accuracy"][1]["mean"].as_f64().unwrap();
    let [pretrained, random, pixels] = [0, 1, 2].map(five_shots);
    assert!(pretrained > random + 0.05 && random > pixels, "{pretrained} {random} {pixels}");
    // Six classes: chance is 0.167.
    let taught = report["taught_balanced_accuracy"].as_f64().unwrap();
    assert!((0.4..=1.0).contains(&taught), "{taught}");
    for file in [
        "run/checkpoint.safetensors",
        "export/encoder.onnx",
        "export/encoder.f16.onnx",
        "export/parity.json",
        "demo.store",
    ] {
        assert!(out.join(file).is_file(), "{file} is kept");
    }
    assert!(picture.is_file());

    // A second demo does not overwrite the files of the first.
    let again = demo(&["--quiet", "--out", out.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("run"), "{}", String::from_utf8_lossy(&again.stderr));
}
