//! `macula export`: files and exit codes.
#![cfg(all(feature = "cli", feature = "onnx"))]

mod shell;

use shell::{expect, fails, json};

/// Both blobs with means and standard deviations of every stage, reduced to 24 values.
const READOUT: &str = "--blob f16,int8 --calibration-count 60 --readout stages --feature-dim 24 --data phantoms:28:120";

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
    let report = json(&expect(0, folder.path(), &with(READOUT)).0);
    assert_eq!((&report["feature_dim"], &report["passed"]), (&24.into(), &true.into()));
    assert!(
        report["steps"].as_array().unwrap().iter().all(|step| step["min_cosine"].as_f64().unwrap() > 0.97),
        "{report}"
    );
    // Three maps of 28×28×8, and two patches of 3×3×32 i16, take 19,968 bytes; 240 pooled values of the readout, 960.
    let little = with("--blob int8 --calibration-count 8 --ram 19000");
    fails(3, "check-failed", folder.path(), &little, &["20928", "19000"]);

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
fn a_run_is_exported_and_opened_with_another_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let run = |code, line: &str| expect(code, path, &line.split_whitespace().collect::<Vec<_>>());
    run(
        0,
        "pretrain --data phantoms:16:60 --method rotation --encoder pico --channels 3 --size 16 --epochs 1 \
         --batch-size 16 --quiet --out run",
    );
    run(0, "export run --input 1x24x20 --out out --weights --blob f16 --count 10 --quiet");
    // Weights, run and ONNX file have the same input, statistics and features.
    for (name, number) in [("run@1x24x20", 1), ("out/encoder.safetensors", 2), ("out", 3), ("run@1x24x20", 4)] {
        run(0, &format!("embed --data phantoms:16:12 --encoder {name} --out {number}.npy --quiet"));
    }
    let read = |number: usize| std::fs::read(path.join(format!("{number}.npy"))).unwrap();
    assert_eq!(read(1), read(2));
    assert_eq!((read(1), read(1).len()), (read(4), read(3).len()));
    // Training goes on with the new input.
    run(
        0,
        "pretrain --data phantoms:16:60 --init out --size 24 --method simclr --epochs 1 --batch-size 16 --quiet --out on",
    );
    let config = std::fs::read_to_string(path.join("on/config.toml")).unwrap();
    assert!(config.contains("channels = 1\n") && config.contains("size = 24\n"), "{config}");
    // A second change starts from the first.
    run(0, "export out --input 1x16x16 --out back --count 10 --quiet");
    for refused in ["export out --input 3x16x16 --out colour", "export run --input 2x16x16 --out two"] {
        run(2, refused);
    }
    let (_, err) = run(2, "embed --data phantoms:16:12 --encoder raw-pixels@1x8x8 --out 5.npy --quiet");
    assert!(err.contains("raw-pixels"), "{err}");
    // The images of this run are gone: statistics come from --data, or there are none.
    let corpus = |out: &str| {
        String::from_utf8_lossy(&std::fs::read(path.join(out).join("encoder.onnx")).unwrap()).contains("length_max")
    };
    assert!(corpus("out"));
    run(0, "export grey-64 --input 1x32x32 --out none --count 10 --quiet");
    run(0, "export grey-64 --input 1x32x32 --out some --count 10 --quiet --data phantoms:32:40");
    assert!(!corpus("none") && corpus("some"));
}

#[test]
fn a_refused_export_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    fails(2, "not-found", folder.path(), &["export", "no-run", "--out", "out"], &["no-run"]);
    assert!(!folder.path().join("out").exists());
}
