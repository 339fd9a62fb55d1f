//! `macula export`: files and exit codes.
#![cfg(all(feature = "cli", feature = "onnx"))]

mod shell;

use shell::{expect, fails, json};

#[test]
fn a_parity_error_beyond_the_tolerance_is_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let train = "pretrain --data phantoms:28:120 --method rotation --encoder pico --channels 1 --size 28 \
                 --epochs 1 --batch-size 16 --quiet --out run";
    expect(0, folder.path(), &train.split_whitespace().collect::<Vec<_>>());
    let export = "export run --out out --count 20 --json --force --quiet";
    let with = |more: &'static str| export.split(' ').chain(more.split_whitespace()).collect::<Vec<_>>();
    let exists = |name: &str| folder.path().join("out").join(name).exists();

    let report = json(&expect(0, folder.path(), &with("")).0);
    assert_eq!((&report["passed"], &report["images"]), (&true.into(), &20.into()));
    assert!(exists("encoder.onnx") && exists("encoder.f16.onnx") && exists("parity.json"));
    assert!(!exists("encoder.f16.blob") && !exists("encoder.int8.blob"));

    let report = json(&expect(0, folder.path(), &with("--blob f16,int8 --calibration-count 8")).0);
    assert_eq!((&report["steps"][2]["file"], &report["steps"][3]["file"]), (&"f16 blob".into(), &"int8 blob".into()));
    assert!(exists("encoder.f16.blob") && exists("encoder.int8.blob"));
    // Three maps of 28×28×8, and two patches of 3×3×32 i16, take 19,968 bytes.
    let little = with("--blob int8 --calibration-count 8 --ram 19000");
    fails(3, "check-failed", folder.path(), &little, &["19968", "19000"]);

    // The f16 file is not exact, so a tolerance of 0 cannot be met.
    fails(3, "check-failed", folder.path(), &with("--f16-tolerance 0"), &["f16", "parity.json"]);
    assert!(!exists("encoder.onnx") && !exists("encoder.f16.onnx") && exists("parity.json"));
}

#[test]
fn exported_weights_do_not_contain_the_path_of_the_images() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("ward-7/images");
    std::fs::create_dir_all(&images).unwrap();
    shell::draw_pictures(&images);
    let train = ["pretrain", "--data", "ward-7/images", "--method", "rotation", "--encoder", "pico", "--channels", "1"];
    let small =
        ["--size", "28", "--epochs", "1", "--batch-size", "4", "--validate", "never", "--quiet", "--out", "run"];
    expect(0, folder.path(), &[&train[..], &small].concat());
    expect(0, folder.path(), &["export", "run", "--out", "out", "--weights", "--quiet"]);
    let written = std::fs::read(folder.path().join("out/encoder.safetensors")).unwrap();
    let has = |text: &[u8]| written.windows(text.len()).any(|window| window == text);
    assert!(has(b"images") && !has(b"ward-7"));
}

#[test]
fn a_refused_export_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    fails(2, "not-found", folder.path(), &["export", "no-run", "--out", "out"], &["no-run"]);
    assert!(!folder.path().join("out").exists());
}
