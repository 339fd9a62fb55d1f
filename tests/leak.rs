//! An image that was trained on is not tested on, and a run goes on only with the pixels that it began with.
#![cfg(feature = "host")]

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

/// Twelve images of each of two classes, without splits; `seed` gives other pixels.
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

fn remarks(report: &serde_json::Value) -> String {
    report["remarks"].to_string()
}

#[test]
fn training_and_evaluation_divide_a_set_without_splits_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (images, run) = (folder.path().join("images"), folder.path().join("run"));
    write_images(&images, 0);
    let mut config = config(&images, Method::Supervised);
    config.seed = 77; // Evaluation has another one.
    train(&config, &run, false).unwrap();
    let dataset = data::open(&images).unwrap();
    let digests = digests(&dataset);
    let division = data::train_test_split(&dataset, &digests);
    assert_eq!((division.train.len(), division.test.len()), (20, 4));
    let record = TrainingImages::of_run(&run).unwrap().unwrap();
    let expected: Vec<ImageDigest> = division.train.iter().map(|&index| digests[index].1).collect();
    assert!(record.labels && record.images == expected, "trained on the training part and nothing else");
    let (code, report, error) = eval(&run, &images);
    assert_eq!((code, &report["test_images"]), (0, &4.into()), "{error}");
    assert!(!remarks(&report).contains("left out"), "{report}");
}

#[test]
fn test_images_that_were_trained_on_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_images(&at("images"), 0);
    // The same images, half of them for training, and among the others six that were.
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
        assert!(remarks(&report).contains("4 test images left out"), "{report}");
    }
    // Where nothing is left, labels make it an error; without labels it is said.
    let (code, _, error) = eval(&at("labelled"), &at("swapped.csv"));
    assert_eq!(code, 2, "{error}");
    let (code, report, _) = eval(&at("unlabelled"), &at("swapped.csv"));
    assert_eq!((code, &report["test_images"]), (0, &12.into()));
    assert!(remarks(&report).contains("12 of the 12"), "{report}");
    // A run that started from the labelled one has seen what that one saw.
    let mut later = config(&at("half.csv"), Method::Rotation);
    later.init = Some(macula::pretrain::Init::of(&at("labelled")).unwrap());
    train(&later, &at("later"), false).unwrap();
    let (code, _, error) = eval(&at("later"), &at("swapped.csv"));
    assert_eq!(code, 2, "{error}");
    // An older run has no record.
    fs::remove_file(at("labelled").join(TRAINING_IMAGES)).unwrap();
    let (code, report, _) = eval(&at("labelled"), &at("other.csv"));
    assert_eq!((code, &report["test_images"]), (0, &16.into()));
    assert!(remarks(&report).contains("not recorded"), "{report}");
    let (_, report, _) = eval(Path::new("raw-pixels"), &at("other.csv"));
    assert!(!remarks(&report).contains("not recorded"), "{report}");
}

#[test]
fn a_run_resumes_only_on_the_pixels_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let (images, run) = (folder.path().join("images"), folder.path().join("run"));
    write_images(&images, 0);
    let config = config(&images, Method::Rotation);
    train(&config, &run, false).unwrap();
    train(&config, &run, true).unwrap();
    // Pixels decide, not the file that holds them.
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
    // Another digest may move the image, and one or two others, to the other side of the division.
    match train(&config, &run, true).unwrap_err() {
        PretrainError::OtherPixels { name, changed, .. } => {
            assert_eq!((name.as_str(), changed), (dataset.records[first].name.as_str(), 1));
        }
        PretrainError::OtherImages { .. } => {}
        error => panic!("{error}"),
    }
    fs::write(&path, kept).unwrap();
    train(&config, &run, true).unwrap();
    // With named splits the names are the same in any case.
    let [flat, named] = ["train", "named"].map(|name| folder.path().join(name));
    write_images(&flat.join("train"), 1);
    let config = self::config(&flat, Method::Rotation);
    train(&config, &named, false).unwrap();
    write_images(&flat.join("train"), 2);
    let error = train(&config, &named, true).unwrap_err();
    let PretrainError::OtherPixels { name, changed, images, .. } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), *changed, *images), ("train/cat/00.png", 24, 24));
    // A run of an earlier program has names alone to compare.
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
fn grey_images_are_trained_on_in_one_channel_unless_three_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    write_images(&images, 0);
    for entry in ["cat/00.png", "dog/01.png"] {
        image::open(images.join(entry)).unwrap().into_rgb8().save(images.join(entry)).unwrap();
    }
    for (more, channels, told) in [(&[][..], "channels = 1", false), (&["--channels", "3"], "channels = 3", true)] {
        let out = folder.path().join(channels);
        let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
        command.args(["pretrain", "--method", "rotation", "--encoder", "pico", "--size", "16", "--epochs", "1"]);
        let run = command.args(more).arg("--data").arg(&images).arg("--out").arg(&out).output().unwrap();
        let error = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(0), "{error}");
        assert_eq!(error.contains("--channels 1"), told, "{error}");
        assert!(fs::read_to_string(out.join("config.toml")).unwrap().contains(channels));
    }
}
