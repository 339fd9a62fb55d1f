//! The programs of `build-device`, each on its processor or in an emulator: they give the same features and classes, and
//! `macula deploy` deploys one to a machine that reports that processor.
//!
//! * `MACULA_DEVICE_PROGRAMS`: the folder of the programs; one for aarch64 must be there
//! * `MACULA_PARITY_ENCODER`: an export folder instead of `models/grey-64`
//!
//! `./check device` builds the programs and runs this test.
#![cfg(all(feature = "host", feature = "onnx", unix))]
#![allow(clippy::print_stdout, reason = "the table is a result")]

mod common;
mod programs;
mod shell;
mod ssh_server;
mod stage;

use std::path::{Path, PathBuf};

use macula::data::{self, Dataset, Split};
use macula::export::{F16_FILE, F16_TOLERANCE, F32_FILE, F32_TOLERANCE};
use programs::{Program, all_programs, program_without_onnx, programs_folder};
use shell::{expect, json};
use stage::{Stage, copied};

/// Images whose features and classes are compared, and samples of each class to teach.
const IMAGES: usize = 200;
const SHOTS: usize = 5;

/// Most bytes of the programs for aarch64, with everything, and without tract and the page.
const PROGRAM_BYTES_MAX: [(&str, usize); 2] =
    [("macula-aarch64", 10_600_000), ("macula-aarch64-no-onnx-no-page", 3_450_000)];

/// Real images if available, otherwise phantoms, as a folder: `train/CLASS`, `test/CLASS`.
fn write_images(folder: &Path) {
    let dataset = match common::data_or_skip("features of device programs on real images, phantoms took their place") {
        Some(root) => data::open(&root.join("kermany-cxr/kermany-3class.csv")).unwrap(),
        None => data::open_named("phantoms:64:1440", 1).unwrap(),
    };
    let parts = dataset.indices(Some(Split::Test));
    let (taught, asked) = match parts.is_empty() {
        // Phantoms have no splits: every other one is tested.
        true => {
            let all = dataset.indices(None);
            (all.iter().copied().step_by(2).collect(), all.iter().copied().skip(1).step_by(2).collect())
        }
        false => (dataset.indices(Some(Split::Train)), parts),
    };
    for label in 0..dataset.class_names.len() {
        let of_class = |indices: &Vec<usize>| -> Vec<usize> {
            indices.iter().copied().filter(|&index| dataset.records[index].label == Some(label)).collect()
        };
        write_part(&dataset, &of_class(&taught), SHOTS, &folder.join("train"), label);
        // The remainder goes to the first classes.
        let classes = dataset.class_names.len();
        let count = IMAGES / classes + usize::from(label < IMAGES % classes);
        write_part(&dataset, &of_class(&asked), count, &folder.join("test"), label);
    }
}

/// Writes `count` of `indices`, spread evenly over them.
fn write_part(dataset: &Dataset, indices: &[usize], count: usize, folder: &Path, label: usize) {
    let folder = folder.join(&dataset.class_names[label]);
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..count {
        let image = dataset.load(indices[number * indices.len() / count]).unwrap();
        let colour = if image.channels == 1 { image::ColorType::L8 } else { image::ColorType::Rgb8 };
        let path = folder.join(format!("{number:03}.png"));
        image::save_buffer(path, &image.pixels, image.width as u32, image.height as u32, colour).unwrap();
    }
}

/// The export that is compared: a shipped one, trained on x-rays as they are predicted here. With random weights,
/// classes would depend on the last bit.
fn encoder() -> PathBuf {
    match std::env::var_os("MACULA_PARITY_ENCODER") {
        Some(given) => given.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("models/grey-64"),
    }
}

/// Features `[N, D]`, each of length 1, and the class named for each image.
struct Answers {
    arithmetic: String,
    dim: usize,
    features: Vec<f32>,
    classes: Vec<String>,
}

/// The features and classes that `program` gives for the images in `folder` with the encoder `file`.
fn answers(program: &Program, folder: &Path, file: &Path) -> Answers {
    let (store, out, file) = (folder.join("a.store"), folder.join("features.npy"), file.to_str().unwrap());
    let (store_name, out_name) = (store.to_str().unwrap(), out.to_str().unwrap());
    let test = ["--data", "images", "--split", "test"];
    let embed = [&["embed", "--encoder", file, "--out", out_name, "--force", "--json"], &test[..]].concat();
    let report = json(&program.run(folder, &embed));
    let learn = ["learn", "--device", store_name, "--encoder", file, "--quiet", "--max-samples", "64"];
    let shots = SHOTS.to_string();
    program.run(folder, &[&learn[..], &["--data", "images", "--split", "train", "--shots", &shots]].concat());
    let predict = [&["predict", "--device", store_name, "--each", "--json", "--quiet"], &test[..]].concat();
    let predicted = json(&program.run(folder, &predict));
    std::fs::remove_file(&store).unwrap();
    let rows = predicted["predictions"].as_array().unwrap().iter();
    let classes = rows.map(|row| row["class"].as_str().unwrap().to_owned()).collect();
    let bytes = std::fs::read(&out).unwrap();
    let features: Vec<f32> = npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap();
    let dim = report["feature_dim"].as_u64().unwrap() as usize;
    let arithmetic = report["arithmetic"].as_str().unwrap().to_owned();
    Answers { arithmetic, dim, features: macula::evaluate::l2_normalize_rows(&features, dim), classes }
}

/// Largest difference of any value of two features of length 1.
fn largest_difference(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

#[test]
fn every_processor_gives_the_same_features_and_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_images(&path.join("images"));
    let shipped = encoder();
    let (single, half) = (shipped.join(F32_FILE), shipped.join(F16_FILE));
    let reference = answers(&Program::own(), path, &single);
    assert_eq!(reference.classes.len(), IMAGES);
    let classes: std::collections::BTreeSet<_> = reference.classes.iter().collect();
    assert!(classes.len() > 1, "every image has the same class, so nothing is compared");
    println!("{IMAGES} images, {} dimensions, beside f32 on {}", reference.dim, Program::own().name);
    println!("| program | computes | largest difference | allowed | same class |");
    println!("|---|---|---:|---:|---:|");
    let mut failures = Vec::new();
    for program in all_programs() {
        for (file, tolerance) in [(&single, F32_TOLERANCE), (&half, F16_TOLERANCE)] {
            if program.halves_only && file == &single {
                continue;
            }
            let found = answers(&program, path, file);
            let difference = largest_difference(&reference.features, &found.features);
            let same = reference.classes.iter().zip(&found.classes).filter(|(a, b)| a == b).count();
            let computes = found.arithmetic.split(" (").next().unwrap_or_default();
            println!("| {} | {computes} | {difference:.1e} | {tolerance:.0e} | {same} of {IMAGES} |", program.name);
            // In f16 an image between two classes may be nearer to the other.
            let flips_max = if computes.starts_with("f16, native") { IMAGES / 50 } else { 0 };
            if difference > tolerance || IMAGES - same > flips_max {
                failures.push(format!("{} {computes}: {difference:e}, {same} of {IMAGES}", program.name));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Every program verifies a bundle signed here, and its golden images are within the tolerance.
#[test]
fn a_bundle_opens_on_every_processor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let shipped = encoder();
    let own = Program::own();
    own.run(path, &["keygen", "--out", "maker", "--quiet"]);
    own.run(path, &["bundle", shipped.to_str().unwrap(), "--signing-key", "maker.key", "--out", "a.macula", "--quiet"]);
    let mut damaged = std::fs::read(path.join("a.macula")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(path.join("damaged.macula"), damaged).unwrap();
    for program in all_programs() {
        let report = json(&program.run(path, &["verify", "a.macula", "--trust", "maker.pub", "--json"]));
        let (error, tolerance) = (&report["golden_error"], &report["golden_tolerance"]);
        println!("{}: golden images within {error} of {tolerance}, in {}", program.name, report["arithmetic"]);
        assert!(error.as_f64().unwrap() <= tolerance.as_f64().unwrap(), "{report}");
        assert_eq!(
            program.code(path, &["verify", "damaged.macula", "--trust", "maker.pub"]),
            Some(3),
            "{}",
            program.name
        );
    }
}

/// The program without tract has the bits of this machine for an int8 blob, and refuses an ONNX file.
#[test]
fn a_program_without_onnx_runs_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_images(&path.join("images"));
    let (program, shipped) = (program_without_onnx(), Path::new(env!("CARGO_MANIFEST_DIR")).join("models/grey-64"));
    let blob = shipped.join("chip/encoder.int8.blob");
    let [found, expected] = [&program, &Program::own()].map(|program| answers(program, path, &blob));
    println!("{}: {} features of {} values, in {}", program.name, IMAGES, found.dim, found.arithmetic);
    assert!(found.features == expected.features && found.classes == expected.classes);
    assert_eq!(found.classes.len(), IMAGES);
    let onnx = shipped.join(F32_FILE);
    let embed = ["embed", "--encoder", onnx.to_str().unwrap(), "--data", "images", "--out", "f.npy"];
    assert_eq!(program.code(path, &embed), Some(2));
}

#[test]
fn the_programs_are_small_and_static() {
    for program in std::fs::read_dir(programs_folder()).unwrap().map(|entry| entry.unwrap().path()) {
        if !program.file_name().unwrap().to_string_lossy().starts_with("macula-") || program.extension().is_some() {
            continue;
        }
        let bytes = std::fs::read(&program).unwrap();
        let is_small = |(name, most): (&str, usize)| bytes.len() <= most || !program.ends_with(name);
        assert!(PROGRAM_BYTES_MAX.into_iter().all(is_small), "{} has {} bytes", program.display(), bytes.len());
        // A program that needs shared libraries names a loader.
        let loader = [&b"/lib/ld-linux"[..], b"/lib64/ld-linux"];
        let names = |name: &[u8]| bytes.windows(name.len()).take(4096).any(|window| window == name);
        assert!(!loader.into_iter().any(names), "{} is not statically linked", program.display());
        println!("{}: {} bytes", program.display(), bytes.len());
    }
}

/// Deploys to a machine that reports aarch64, with an emulator for the processor.
#[test]
fn a_program_is_deployed_to_a_machine_of_its_processor() {
    let stage = Stage::new(Some("aarch64"));
    let (bundle, program) = (stage.bundle("1", "1", "maker"), programs_folder().join("macula-aarch64"));
    let deploy = || {
        let runner = ["--runner", "qemu-aarch64 -cpu cortex-a53", "--patience", "120", "--trust", "maker.pub"];
        stage.deployed(&bundle, program.to_str().unwrap(), &runner)
    };
    let first = deploy();
    assert_eq!((&first["machine"], &first["program_for"]), (&"aarch64".into(), &"aarch64".into()), "{first}");
    stage.teach();
    let predict = ["predict", "--device", &stage.listen, "--json", "bright-3.png", "dark-3.png"];
    let predicted = json(&expect(0, stage.path(), &predict).0);
    for (row, class) in predicted["predictions"].as_array().unwrap().iter().zip(["bright", "dark"]) {
        assert_eq!(row["class"], class, "{predicted}");
    }
    let second = deploy();
    assert_eq!((copied(&second), &second["started"]), (vec![], &false.into()), "{second}");
    println!("{}", serde_json::to_string_pretty(&second).unwrap());
}
