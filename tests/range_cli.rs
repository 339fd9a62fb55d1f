//! The range of raw values from the images to the run, its export, its bundle and a device.
#![cfg(all(feature = "cli", feature = "host", feature = "onnx", unix))]

mod shell;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use image::{GrayImage, ImageBuffer, Luma};
use shell::{expect, json, picture};

/// The largest value of the 10-bit camera that made these images.
const LARGEST: u32 = 1023;

/// Images of two classes as 10 bits in 16, each with its 8-bit form by the range.
fn draw(folder: &Path) {
    for class in ["bright", "dark"] {
        std::fs::create_dir_all(folder.join("deep").join(class)).unwrap();
        for number in 0..6 {
            let flat = picture(class, number);
            // Every image has the darkest and the brightest value, so that the range can be measured.
            let value = |x, y| match (x, y) {
                (0, 0) => 0,
                (1, 0) => LARGEST,
                _ => u32::from(flat.get_pixel(x, y)[0]) * LARGEST / 255,
            };
            let deep = ImageBuffer::from_fn(40, 30, |x, y| Luma([value(x, y) as u16]));
            deep.save(folder.join(format!("deep/{class}/{number}.png"))).unwrap();
            let scaled = |x, y| (f64::from(value(x, y)) / f64::from(LARGEST) * 255.0).round() as u8;
            let name = format!("flat-{class}-{number}.png");
            GrayImage::from_fn(40, 30, |x, y| Luma([scaled(x, y)])).save(folder.join(name)).unwrap();
        }
    }
}

/// The bytes of the features of one image.
fn features(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let out = folder.join("features.npy");
    expect(0, folder, &[&["embed", "--out", "features.npy", "--quiet", "--force"], arguments].concat());
    std::fs::read(out).unwrap()
}

#[test]
fn data_reports_raw_values_and_unused_bits() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path());
    let (out, _) = expect(0, folder.path(), &["data", "deep", "--json"]);
    let found = json(&out);
    let raw = &found["raw"][0];
    assert_eq!((&raw["low"], &raw["high"], &raw["images"]), (&0.0.into(), &1023.0.into(), &12.into()));
    let remarks = found["remarks"].as_array().unwrap();
    let remark = remarks.iter().find(|remark| remark["kind"] == "low_values").unwrap();
    assert_eq!((&remark["largest"], &remark["full"], &remark["bits_used"]), (&1023.into(), &65_535.into(), &10.into()));
    for range in ["0,1023", "auto"] {
        let (out, _) = expect(0, folder.path(), &["data", "deep", "--range", range, "--json"]);
        let found = json(&out);
        assert_eq!(found["range"], serde_json::json!({"low": 0.0, "high": 1023.0}));
        assert!(found["remarks"].as_array().unwrap().iter().all(|remark| remark["kind"] != "low_values"));
    }
    for range in ["1023,0", "dark", "0"] {
        shell::expect_usage(folder.path(), &["data", "deep", "--range", range]);
    }
}

#[test]
fn a_run_its_export_and_its_bundle_read_images_with_the_range_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw(path);
    let run = "pretrain --data deep --method rotation --encoder pico --channels 1 --size 16 --epochs 1 --batch-size 4";
    let run: Vec<&str> = run.split(' ').chain(["--range", "auto", "--out", "run", "--health", "never"]).collect();
    let (_, found) = expect(0, path, &run);
    assert!(!found.contains("65535"), "{found}");
    let config: toml::Table = std::fs::read_to_string(path.join("run/config.toml")).unwrap().parse().unwrap();
    assert_eq!(config["range"]["high"].as_float(), Some(1023.0));

    let (deep, flat) = ("deep/bright/1.png", "flat-bright-1.png");
    let same = |encoder: &str, more: &[&str]| {
        let by = |image| features(path, &[&["--encoder", encoder, image], more].concat());
        assert_eq!(by(deep), by(flat), "{encoder}");
    };
    same("run", &[]);
    expect(0, path, &["export", "run", "--out", "export", "--count", "4", "--quiet"]);
    same("export/encoder.onnx", &[]);
    expect(0, path, &["keygen", "--out", "ward"]);
    expect(0, path, &["bundle", "export", "--signing-key", "ward.key", "--out", "ward.macula", "--quiet"]);
    same("ward.macula", &["--trust", "ward.pub"]);
    let natural = features(path, &["--encoder", "run", deep, "--range", "0,65535"]);
    assert_ne!(natural, features(path, &["--encoder", "run", deep]));

    // A device in this process: both files are the same sample.
    let learn =
        ["learn", "--device", "a.store", "--encoder", "ward.macula", "--trust", "ward.pub", "--class", "bright"];
    expect(0, path, &[&learn[..], &[deep]].concat());
    let (out, _) = expect(0, path, &["learn", "--device", "a.store", "--class", "bright", flat, "--json"]);
    let found = json(&out);
    assert_eq!((&found["learned"], &found["known"]), (&0.into(), &1.into()));
}

#[test]
fn a_run_without_a_range_warns_and_stores_none() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path());
    let run = "pretrain --data deep --method rotation --encoder pico --channels 1 --size 16 --epochs 1 --batch-size 4 --out run";
    let (_, found) = expect(0, folder.path(), &run.split(' ').chain(["--health", "never"]).collect::<Vec<_>>());
    assert!(found.contains("1023") && found.contains("65535") && found.contains("--range"), "{found}");
    let config = std::fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    assert!(!config.contains("range"), "{config}");
}

/// A device server that ends when dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_device_elsewhere_needs_a_stated_range_for_deep_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw(path);
    let serve = ["device", "--encoder", "raw-pixels", "--store", "a.store", "--listen", "tcp:127.0.0.1:0", "--json"];
    let child = Command::new(env!("CARGO_BIN_EXE_macula")).current_dir(path).args(serve).stdout(Stdio::piped()).spawn();
    let mut served = Served(child.unwrap());
    let mut line = String::new();
    BufReader::new(served.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = json(&line)["listening"].as_str().unwrap().to_owned();
    let learn = |image, more: &[&str], code| {
        let arguments = ["learn", "--device", &address, "--class", "bright", image];
        expect(code, path, &[&arguments[..], more].concat())
    };
    let (_, found) = learn("deep/bright/0.png", &[], 2);
    assert!(found.contains("deep/bright/0.png") && found.contains("--range"), "{found}");
    learn("flat-bright-0.png", &[], 0);
    // The same sample, now that its range is known.
    let (out, _) = learn("deep/bright/0.png", &["--range", "0,1023", "--json"], 0);
    assert_eq!(json(&out)["known"], 1);
}
