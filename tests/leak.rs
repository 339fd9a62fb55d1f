//! Training images are never test images, and a run resumes only with unchanged pixels.
#![cfg(feature = "host")]

#[path = "leak/care_figures.rs"]
mod care_figures;
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use macula::data::{self, Dataset, ImageDigest};
use macula::encoder::Preset;
use macula::pretrain::{
    CHECKPOINT, Checkpoint, Method, Options, PretrainConfig, PretrainError, Silent, TRAINING_IMAGES, TrainingImages,
    Validate, pretrain,
};

/// Twelve images of each of two classes, without splits; the pixels depend on `seed`.
fn write_images(root: &Path, seed: u32) {
    for index in 0..24 {
        let folder = root.join(["cat", "dog"][index as usize % 2]);
        fs::create_dir_all(&folder).unwrap();
        let value = |x: u32, y: u32| (x * (7 + index % 2 * 30) + y * (index + 3) + seed * 50) as u8;
        image::GrayImage::from_fn(16, 16, |x, y| image::Luma([value(x, y)]))
            .save(folder.join(format!("{index:02}.png")))
            .unwrap();
    }
}

fn config(data: &Path, method: Method) -> PretrainConfig {
    let mut config = PretrainConfig::new(data.to_str().unwrap(), method);
    (config.encoder, config.channels, config.size) = (Preset::Pico, 1, 16);
    (config.epochs, config.batch_size, config.validate) = (1, 8, Validate::End);
    config
}

fn train(config: &PretrainConfig, out: &Path, resume: bool) -> Result<(), PretrainError> {
    let dataset = data::open(Path::new(&config.data)).unwrap();
    let options = Options { resume, ..Options::default() };
    pretrain(config, &dataset, out, options, &mut Silent, &AtomicBool::new(false)).map(|_| ())
}

fn digests(dataset: &Dataset) -> Vec<(usize, ImageDigest)> {
    let all = dataset.indices(None);
    let digests = dataset.digests(&all, &|_| ());
    all.into_iter().zip(digests.into_iter().map(Result::unwrap)).collect()
}

fn eval(encoder: &Path, data: &Path) -> (i32, serde_json::Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    command.args(["eval", "knn", "--json", "--encoder"]).arg(encoder).arg("--data").arg(data);
    let run = command.output().unwrap();
    let report = serde_json::from_slice(&run.stdout).unwrap_or_default();
    (run.status.code().unwrap(), report, String::from_utf8_lossy(&run.stderr).into_owned())
}

/// Whether a remark names `number`.
fn remarked(report: &serde_json::Value, number: &str) -> bool {
    report["remarks"].to_string().split([' ', '"']).any(|word| word == number)
}

#[test]
fn training_and_evaluation_split_a_dataset_without_splits_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (images, run) = (folder.path().join("images"), folder.path().join("run"));
    write_images(&images, 0);
    let mut config = config(&images, Method::Supervised);
    config.seed = 77; // Evaluation has another seed.
    train(&config, &run, false).unwrap();
    let dataset = data::open(&images).unwrap();
    let digests = digests(&dataset);
    let split = data::train_test_split(&dataset, &digests);
    assert_eq!((split.train.len(), split.test.len()), (20, 4));
    let record = TrainingImages::of_run(&run).unwrap().unwrap();
    let expected: Vec<ImageDigest> = split.train.iter().map(|&index| digests[index].1).collect();
    assert!(record.labels && record.images == expected, "trained on other images than the training images");
    let (code, report, error) = eval(&run, &images);
    assert_eq!((code, &report["test_images"]), (0, &4.into()), "{error}");
}

#[test]
fn test_images_that_were_trained_on_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_images(&at("images"), 0);
    // The same images, half of them for training; the other manifest tests on some of those.
    let dataset = data::open(&at("images")).unwrap();
    let manifest = |name: &str, split_of: &dyn Fn(usize) -> &'static str| {
        let lines = (dataset.records.iter().enumerate()).map(|(index, record)| {
            format!("images/{},{},{}\n", record.name, dataset.class_names[record.label.unwrap()], split_of(index))
        });
        fs::write(at(name), format!("path,label,split\n{}", lines.collect::<String>())).unwrap();
    };
    manifest("half.csv", &|index| if index % 4 < 2 { "train" } else { "test" });
    manifest("other.csv", &|index| if index % 4 < 2 && index >= 6 { "train" } else { "test" });

    manifest("swapped.csv", &|index| if index % 4 < 2 { "test" } else { "train" });
    for (method, run) in [(Method::Supervised, "labelled"), (Method::Rotation, "unlabelled")] {
        train(&config(&at("half.csv"), method), &at(run), false).unwrap();
        let (code, report, error) = eval(&at(run), &at("other.csv"));
        assert_eq!((code, &report["test_images"]), (0, &12.into()), "{run}: {error}");
        assert!(remarked(&report, "4"), "{report}");
    }
    // If no test image would remain, a labelled run is an error, and an unlabelled one gives a remark.
    let (code, _, error) = eval(&at("labelled"), &at("swapped.csv"));
    assert_eq!(code, 2, "{error}");
    let (code, report, _) = eval(&at("unlabelled"), &at("swapped.csv"));
    assert_eq!((code, &report["test_images"]), (0, &12.into()));
    assert!(remarked(&report, "12"), "{report}");
    // A run that started from the labelled one inherits its training images.
    let mut later = config(&at("half.csv"), Method::Rotation);
    later.init = Some(macula::pretrain::Init::of(&at("labelled")).unwrap());
    train(&later, &at("later"), false).unwrap();
    let (code, _, error) = eval(&at("later"), &at("swapped.csv"));
    assert_eq!(code, 2, "{error}");
    // An older run has no record.
    fs::remove_file(at("labelled").join(TRAINING_IMAGES)).unwrap();
    let (code, report, _) = eval(&at("labelled"), &at("other.csv"));
    assert_eq!((code, &report["test_images"]), (0, &16.into()));
    let (_, pixels, _) = eval(Path::new("raw-pixels"), &at("other.csv"));
    let remarks = |report: &serde_json::Value| report["remarks"].as_array().unwrap().len();
    assert_eq!(remarks(&report), remarks(&pixels) + 1, "{report}");
}

#[test]
fn a_run_resumes_only_with_unchanged_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let (images, run) = (folder.path().join("images"), folder.path().join("run"));
    write_images(&images, 0);
    let config = config(&images, Method::Rotation);
    train(&config, &run, false).unwrap();
    train(&config, &run, true).unwrap();
    // Pixels matter, not the file format.
    let trained = TrainingImages::of_run(&run).unwrap().unwrap();
    let dataset = data::open(&images).unwrap();
    let digests = digests(&dataset);
    let first = digests.iter().find(|(_, digest)| *digest == trained.images[3]).unwrap().0;
    let path = images.join(&dataset.records[first].name);
    let kept = fs::read(&path).unwrap();
    image::open(&path).unwrap().into_rgb8().save(&path).unwrap();
    train(&config, &run, true).unwrap();
    let mut other = image::open(&path).unwrap().into_luma8();
    other.get_pixel_mut(2, 2).0[0] ^= 1;
    other.save(&path).unwrap();
    // A changed digest may move the image, and one or two others, between training and test.
    match train(&config, &run, true).unwrap_err() {
        PretrainError::OtherPixels { name, changed, .. } => {
            assert_eq!((name.as_str(), changed), (dataset.records[first].name.as_str(), 1));
        }
        PretrainError::OtherImages { .. } => {}
        error => panic!("{error}"),
    }
    fs::write(&path, kept).unwrap();
    train(&config, &run, true).unwrap();
    // With named splits, the names stay equal.
    let [flat, named] = ["train", "named"].map(|name| folder.path().join(name));
    write_images(&flat.join("train"), 1);
    let config = self::config(&flat, Method::Rotation);
    train(&config, &named, false).unwrap();
    write_images(&flat.join("train"), 2);
    let error = train(&config, &named, true).unwrap_err();
    let PretrainError::OtherPixels { name, changed, images, .. } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), *changed, *images), ("train/cat/00.png", 24, 24));
    // A run of an earlier version has only names to compare.
    let path = named.join(CHECKPOINT);
    let mut old = Checkpoint::read(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    old.progress.pixels_sha256 = None;
    fs::write(&path, old.to_bytes()).unwrap();
    train(&config, &named, true).unwrap();
    fs::write(&path, bytes).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    let resumed = command.args(["pretrain", "--resume", "--quiet", "--out"]).arg(&named).output().unwrap();
    assert_eq!(resumed.status.code(), Some(2), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert!(String::from_utf8_lossy(&resumed.stderr).contains("train/cat/00.png"));
}

#[test]
fn grey_images_train_with_one_channel_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images, 0);
    for entry in ["cat/00.png", "dog/01.png"] {
        image::open(images.join(entry)).unwrap().into_rgb8().save(images.join(entry)).unwrap();
    }
    for (more, channels, remarked) in [(&[][..], "channels = 1", false), (&["--channels", "3"], "channels = 3", true)] {
        let out = folder.path().join(channels);
        let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
        command.args(["pretrain", "--method", "rotation", "--encoder", "pico", "--size", "16", "--epochs", "1"]);
        let run = command.args(more).arg("--data").arg(&images).arg("--out").arg(&out).output().unwrap();
        let error = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(0), "{error}");
        assert_eq!(error.contains("--channels 1"), remarked, "{error}");
        assert!(fs::read_to_string(out.join("config.toml")).unwrap().contains(channels));
    }
}

#[test]
fn every_result_on_a_leaky_split_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let phantoms = data::open_named("phantoms:32:120", 1).unwrap();
    let save = |name: &str, pixels: Vec<u8>| {
        let image = image::GrayImage::from_raw(32, 32, pixels).unwrap();
        image.save(folder.path().join(name)).unwrap();
    };
    let mut lines = "path,label,split,patient\n".to_owned();
    for index in 0..120 {
        save(&format!("{index}.png"), phantoms.load(index).unwrap().pixels);
        let split = if index < 60 { "train" } else { "test" };
        lines += &format!("{index}.png,{},{split},{index}\n", index % 2);
    }
    fs::write(folder.path().join("clean.csv"), &lines).unwrap();
    // Test images of class 0: training image 0, training image 2 darker, and test image 60 brighter.
    let pixels = |index: usize| phantoms.load(index).unwrap().pixels;
    save("equal.png", pixels(0));
    save("darker.png", pixels(2).into_iter().map(|value| value - value / 6).collect());
    save("brighter.png", pixels(60).into_iter().map(|value| value.saturating_add(9)).collect());
    lines += "equal.png,0,test,500\ndarker.png,0,test,501\nbrighter.png,0,test,502\n";
    // A patient with training and test images.
    lines = lines.replace("119.png,1,test,119", "119.png,1,test,7");
    fs::write(folder.path().join("leaky.csv"), lines).unwrap();
    for probe in ["knn", "few-shot --shots 2 --queries 3 --episodes 3", "active --labels 4 --queries 3 --episodes 2"] {
        let run = |data: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
            command.arg("eval").args(probe.split(' ')).args(["--encoder", "raw-pixels", "--baselines", "none"]);
            let run = command.args(["--json", "--data", data]).current_dir(folder.path()).output().unwrap();
            assert!(run.status.success(), "{probe}: {}", String::from_utf8_lossy(&run.stderr));
            serde_json::from_slice::<serde_json::Value>(&run.stdout).unwrap()
        };
        let warnings = |report: &serde_json::Value| {
            let remarks =
                report["remarks"].as_array().unwrap().iter().map(|remark| remark.as_str().unwrap().to_owned());
            remarks
                .filter(|remark| remark.contains("images are equal") || remark.contains("patients"))
                .collect::<Vec<_>>()
        };
        let clean = run("clean.csv");
        assert_eq!(warnings(&clean), [""; 0], "{probe}");
        let none = serde_json::json!({"test_images": 60, "equal": 0, "nearly_equal": 0, "groups": 0, "repeated": 0});
        assert_eq!(clean["split_leaks"], none, "{probe}");
        let leaky = run("leaky.csv");
        let some = serde_json::json!({"test_images": 63, "equal": 1, "nearly_equal": 1, "groups": 1, "repeated": 2});
        assert_eq!(leaky["split_leaks"], some, "{probe}");
        let warnings = warnings(&leaky);
        assert_eq!(warnings.len(), if probe == "knn" { 2 } else { 3 }, "{probe}: {warnings:?}");
        assert!(warnings[0].contains("macula data leaky.csv --report"), "{warnings:?}");
    }
}
