//! Commands on no, one and a few images give a result or an error, never a panic and never NaN.
#![cfg(feature = "cli")]

use std::path::Path;
use std::process::Command;

/// Images in a dataset, from none to a few per class.
const COUNTS: [u8; 7] = [0, 1, 2, 3, 5, 7, 12];

/// Runs a command in `folder`, checks that its exit code is 0, 2 or 3, and returns exit code, standard output and error.
fn run(folder: &Path, arguments: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    let output = command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 2 | 3)), "{arguments}: {code:?}\n{out}\n{err}");
    assert!(!out.contains("NaN") && !err.contains("NaN") && !err.contains("panicked"), "{arguments}\n{out}\n{err}");
    assert!(code == Some(0) || !err.is_empty(), "{arguments}: an error without a message");
    (code.unwrap_or_default(), out, err)
}

/// Grey images `SPLIT/CLASS/NUMBER.png`, `count` for each of two classes and two splits.
fn pictures(folder: &Path, count: u8) {
    for (split, class, level) in [("train", "a", 20), ("train", "b", 160), ("test", "a", 25), ("test", "b", 150)] {
        let place = folder.join(split).join(class);
        std::fs::create_dir_all(&place).unwrap();
        for number in 0..count {
            let pixel = |x: u32, y: u32| image::Luma([level + (x * 5 + y * 3) as u8 % 40 + 3 * number]);
            image::GrayImage::from_fn(32, 32, pixel).save(place.join(format!("{number}.png"))).unwrap();
        }
    }
}

#[test]
fn training_on_few_images() {
    let folder = tempfile::tempdir().unwrap();
    for count in COUNTS {
        for method in ["rotation", "supervised", "simclr", "triplet", "moco", "masked"] {
            let (code, _, err) = run(
                folder.path(),
                &format!(
                    "pretrain --data phantoms:16:{count} --method {method} --encoder pico --size 16 --epochs 1 \
                     --out {method}-{count}"
                ),
            );
            let contrastive = ["simclr", "triplet", "moco"].contains(&method);
            // One epoch is too little for any of these methods, and a batch of one or two images as well.
            assert_eq!(err.contains("warning"), contrastive && count > 0, "{method} {count}: {err}");
            // Labels need images of two classes; two images are no collapse.
            let refused = count == 0 || method == "supervised" && count < 7;
            assert!(code == 0 || refused || method == "supervised", "{method} {count}: {code} {err}");
        }
    }
    // Warnings do not change the weights.
    let bytes = |name: &str| std::fs::read(folder.path().join(name).join("checkpoint.safetensors")).unwrap();
    for quiet in ["", "--quiet"] {
        let out = format!("again{}", quiet.len());
        run(
            folder.path(),
            &format!(
                "pretrain --data phantoms:16:1 --method simclr --encoder pico --size 16 --epochs 1 --out {out} {quiet}"
            ),
        );
        assert_eq!(bytes(&out), bytes("simclr-1"));
    }
}

#[test]
fn evaluating_few_images() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        "pretrain --data phantoms:16:40 --method rotation --encoder pico --size 16 --epochs 1 --out run --health never",
    );
    for count in COUNTS {
        pictures(&folder.path().join(format!("pictures-{count}")), count);
        for data in [format!("phantoms:16:{count}"), format!("pictures-{count}")] {
            for probe in ["knn", "linear", "few-shot --shots 1", "few-shot --episodes 2", "abstention --shots 1"] {
                let small = if probe.ends_with('1') { "--queries 1 --episodes 3" } else { "" };
                for encoder in ["raw-pixels", "run --split train"] {
                    run(folder.path(), &format!("eval {probe} {small} --encoder {encoder} --data {data} --size 16"));
                }
            }
        }
    }
    for (count, expected) in [(1, 0), (12, 0)] {
        let arguments = format!("eval knn --encoder raw-pixels --data pictures-{count} --size 16");
        assert_eq!(run(folder.path(), &arguments).0, expected, "{count} images of each class are enough");
    }
}

#[test]
fn other_commands_on_few_images() {
    let folder = tempfile::tempdir().unwrap();
    let train = "pretrain --method rotation --encoder pico --size 16 --epochs 1 --health never";
    run(folder.path(), &format!("{train} --data phantoms:16:40 --out run"));
    run(folder.path(), "keygen --out maker");
    for count in COUNTS {
        pictures(&folder.path().join(format!("pictures-{count}")), count);
        for data in [format!("phantoms:16:{count}"), format!("pictures-{count}")] {
            let store = format!("{}.store", data.replace(':', "-"));
            for command in [
                format!("data {data}"),
                format!("data {data} --json"),
                format!("embed --encoder raw-pixels --data {data} --out features-{count}.npz"),
                format!("export run --data {data} --out export-{store}"),
                format!("export run --data {data} --out int8-{store} --blob int8"),
                format!("bundle export-{store} --data {data} --signing-key maker.key --out {store}.macula"),
                format!("learn --device {store} --encoder raw-pixels --data {data} --shots 1"),
                format!("learn --device {store} --class all --data {data}"),
                format!("predict --device {store} --data {data}"),
                format!("predict --device {store} --data {data} --each --json"),
                format!("augment pictures-{count}/train/a/0.png --policy natural --out sheet-{count}.png"),
            ] {
                let arguments = command.as_str();
                let mut process = Command::new(env!("CARGO_BIN_EXE_macula"));
                let output = process.current_dir(folder.path()).args(arguments.split_whitespace()).output().unwrap();
                // 4: no store exists if nothing was learned.
                let code = output.status.code();
                let err = String::from_utf8_lossy(&output.stderr);
                assert!(
                    matches!(code, Some(0 | 2 | 3 | 4)) && !err.contains("panicked"),
                    "{arguments}: {code:?} {err}"
                );
                assert!(!String::from_utf8_lossy(&output.stdout).contains("NaN"), "{arguments}");
            }
        }
    }
}

/// A lesson that needs more images is refused before training.
#[test]
fn a_lesson_on_few_images() {
    for count in [1, 3, 5] {
        let folder = tempfile::tempdir().unwrap();
        pictures(&folder.path().join("data/cifar10"), count);
        let (code, _, err) = run(folder.path(), "reproduce representations --data data --out lessons --quiet");
        assert_eq!(code, 2, "{count}: {err}");
        assert!(err.contains("11") && !folder.path().join("lessons/runs").exists(), "{err}");
    }
}
