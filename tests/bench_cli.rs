//! `macula bench data`, `device` and `--compare` on the command line.
#![cfg(all(feature = "host", unix))]

mod shell;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use shell::{draw_pictures, expect, fails, json};

/// A Python of which `onnxruntime` and `scikit-learn` report what the test expects, `ncnn` fails, and all else is missing.
fn stand_in(folder: &Path) {
    let script = r#"#!/bin/sh
case $2 in
    onnxruntime) echo "a line before"; echo '{"peer": "onnxruntime 9", "image_ms": {"p50": 1000000.0}}' ;;
    scikit-learn) echo '{"peer": "scikit-learn 9", "heads": [{"fit_us": {"p50": 1000000000.0}}]}' ;;
    pillow) [ -s "$3" ] && [ "$4" = 8 ] && [ "$5" = 1 ] && echo '{"peer": "Pillow 9", "images_per_second": 0.000001}' ;;
    ncnn) echo broken >&2; exit 1 ;;
    *) echo "No module named '$2'" >&2; exit 3 ;;
esac
"#;
    let path = folder.join("python");
    fs::write(&path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Rows by name: figures and ratio.
fn rows(report: &Value) -> Vec<(&str, &Value, f64)> {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().map(|row| (row["name"].as_str().unwrap(), &row["figures"], row["ratio"].as_f64().unwrap())).collect()
}

#[test]
fn a_comparison_has_macula_and_the_peers_that_are_installed() {
    let folder = tempfile::tempdir().unwrap();
    stand_in(folder.path());
    let head =
        ["bench", "head", "--dim", "4", "--classes", "2", "--shots", "2", "--compare", "--rounds", "2", "--json"];
    let report = json(&expect(0, folder.path(), &[&head[..], &["--python", "./python"]].concat()).0);
    let [(ours, _, one), (peer, figures, ratio)] = rows(&report)[..] else { panic!("{report}") };
    assert_eq!((ours, peer, one), ("Macula, auto", "scikit-learn 9", 1.0));
    // The ratio is the peer's time by Macula's; the report has no other figure.
    let fit = report["rows"][0]["figures"][0].as_f64().unwrap();
    assert!((ratio - 1e9 / fit).abs() < 1e-6 * ratio, "{report}");
    assert_eq!((&figures[0], &figures[1]), (&1e9.into(), &Value::Null));
    fails(2, "not-found", folder.path(), &[&head[..], &["--python", "./absent"]].concat(), &["./absent", "--python"]);
    fails(2, "usage", folder.path(), &["bench", "head", "--python", "./python"], &["--compare"]);
}

#[test]
#[cfg(feature = "onnx")]
fn an_encoder_is_compared_on_both_runtimes_and_peers_say_why_they_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    stand_in(folder.path());
    let command = ["bench", "encoder", "--encoder", "grey-64", "--compare", "--rounds", "1", "--batch-size", "1"];
    let report = json(&expect(0, folder.path(), &[&command[..], &["--python", "./python", "--json"]].concat()).0);
    let found = rows(&report);
    assert_eq!(found.iter().map(|row| row.0).collect::<Vec<_>>(), ["Macula, native", "Macula, tract", "onnxruntime 9"]);
    assert!(found[2].2 > 100.0, "{report}");
    let missing = report["missing"].as_array().unwrap();
    let reason = |peer: &str| missing.iter().find(|row| row[0] == peer).unwrap()[1].as_str().unwrap();
    assert!(reason("ncnn").contains("broken") && reason("torch").contains("No module named 'torch'"), "{report}");
    // A blob needs the ONNX file of the same encoder.
    fails(
        2,
        "input",
        folder.path(),
        &["bench", "encoder", "--encoder", "x.blob", "--compare"],
        &["x.blob", "--peer-onnx"],
    );
}

#[test]
fn reading_of_a_folder_is_measured_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path());
    fs::create_dir(folder.path().join("scans")).unwrap();
    for name in ["dark-0.png", "dark-1.png", "bright-0.png"] {
        fs::rename(folder.path().join(name), folder.path().join("scans").join(name)).unwrap();
    }
    let command = ["bench", "data", "--data", "scans", "--size", "8", "--channels", "1", "--json"];
    let report = json(&expect(0, folder.path(), &command).0);
    assert_eq!((&report["images"], &report["size"]), (&3.into(), &8.into()));
    for part in ["decode_ms", "resize_ms", "image_ms"] {
        assert!(report[part]["p50"].as_f64().unwrap() >= 0.0, "{report}");
    }
    assert!(report["image_ms"]["p99"].as_f64() >= report["decode_ms"]["p50"].as_f64(), "{report}");
    stand_in(folder.path());
    let compare = ["--compare", "--rounds", "1", "--python", "./python"];
    let report = json(&expect(0, folder.path(), &[&command[..], &compare].concat()).0);
    let found = rows(&report);
    assert_eq!((found.len(), found[1].0), (2, "Pillow 9"));
    assert!(found[1].2 > 1e6, "{report}");
    let packed = ["bench", "data", "--data", "phantoms:16:4", "--compare", "--python", "./python"];
    fails(2, "input", folder.path(), &packed, &["folder of image files"]);
}

#[test]
fn a_device_is_measured_and_keeps_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let learn = ["learn", "--device", "a.store", "--encoder", "raw-pixels", "--class"];
    expect(0, path, &[&learn[..], &["dark", "dark-0.png", "dark-1.png"]].concat());
    expect(0, path, &[&learn[..], &["bright", "bright-0.png", "bright-1.png"]].concat());
    let state = || json(&expect(0, path, &["status", "--device", "a.store", "--json"]).0)["state_sha256"].clone();
    let before = state();
    let bench = ["bench", "device", "--device", "a.store", "--requests", "5", "--json"];
    let report = json(&expect(0, path, &[&bench[..], &["--teach", "dark", "--image", "dark-2.png"]].concat()).0);
    let results = report["results"].as_array().unwrap();
    let requests: Vec<&str> = results.iter().map(|result| result["request"].as_str().unwrap()).collect();
    assert_eq!(requests, ["status", "predict", "why", "learn", "forget"]);
    assert!(results.iter().all(|result| result["ms"]["p50"].as_f64().unwrap() > 0.0), "{report}");
    assert_eq!(state(), before);
    let (_, err) = expect(2, path, &[&bench[..], &["--teach", "none"]].concat());
    assert!(err.contains("none"), "{err}");
    expect(2, path, &["bench", "device", "--device", "absent.store"]);
    assert!(!path.join("absent.store").exists());
}
