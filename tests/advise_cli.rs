//! `macula advise`: figures, advice and commands for labelled, unlabelled and few images.
#![cfg(all(feature = "cli", feature = "onnx"))]

mod shell;

use std::path::Path;

use serde_json::Value;
use shell::{expect, fails, json};

fn advise(folder: &Path, data: &str, seconds: &str) -> Value {
    json(&expect(0, folder, &["advise", "--data", data, "--seconds", seconds, "--json"]).0)
}

/// Names of the encoders that were measured.
fn measured(advice: &Value) -> Vec<&str> {
    advice["encoders"].as_array().unwrap().iter().map(|figures| figures["encoder"].as_str().unwrap()).collect()
}

fn commands(advice: &Value) -> Vec<&str> {
    advice["commands"].as_array().unwrap().iter().map(|command| command.as_str().unwrap()).collect()
}

#[test]
fn labelled_images_are_judged_by_accuracy_and_the_commands_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let advice = advise(path, "phantoms:32:900", "4");
    assert_eq!((&advice["images"]["images"], &advice["images"]["channels"]), (&900.into(), &1.into()));
    let names = measured(&advice);
    assert_eq!(names[..2], ["raw-pixels", "colour-statistics"]);
    assert!(names.len() > 2, "the first shipped encoder is always measured");
    for figures in advice["encoders"].as_array().unwrap() {
        let accuracy = figures["few_shot"][0]["balanced_accuracy"]["mean"].as_f64().unwrap();
        let retrieval = figures["retrieval"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&accuracy) && (0.0..=1.0).contains(&retrieval), "{figures}");
    }
    let start = &advice["recommendation"]["start"];
    assert!(["ahead", "level", "behind"].contains(&start["kind"].as_str().unwrap()), "{start}");
    let encoder = start["encoder"].as_str().unwrap();
    assert!(names[2..].contains(&encoder), "{encoder}");
    assert!(advice["speed"]["seconds_per_step"].as_f64().unwrap() > 0.0);
    assert!(advice["training"]["seconds"].as_f64().unwrap() > 0.0);

    // Fewer images than a training needs: export and bundle only, and these commands run.
    let few = advise(path, "phantoms:32:200", "2");
    assert_eq!(few["recommendation"]["go_on"], "too-few-images");
    let lines = commands(&few);
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in lines {
        expect(0, path, &line.split_whitespace().skip(1).collect::<Vec<_>>());
    }
    assert!(path.join("encoder.macula").is_file());
}

#[test]
fn without_labels_the_advice_claims_no_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("my scans")).unwrap();
    shell::draw_pictures(&path.join("my scans"));
    let advice = advise(path, "my scans", "1");
    assert_eq!(
        (&advice["recommendation"]["start"]["kind"], &advice["shots"]),
        (&"unlabelled".into(), &Value::Array(vec![]))
    );
    assert_eq!(advice["recommendation"]["go_on"], "too-few-images");
    assert!(commands(&advice)[0].ends_with("--data 'my scans'"), "{:?}", commands(&advice));
    assert!(advice["trial"].is_null());
    // Text for people has the same advice.
    let (out, _) = expect(0, path, &["advise", "--data", "my scans", "--seconds", "1", "--quiet"]);
    assert!(out.contains("8 images, grey") && out.contains("macula export"), "{out}");
}

#[test]
fn too_few_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("few")).unwrap();
    (0..7).for_each(|n| shell::picture("dark", n).save(path.join(format!("few/{n}.png"))).unwrap());
    fails(2, "input", path, &["advise", "--data", "few"], &["7", "8"]);
    fails(2, "not-found", path, &["advise", "--data", "none"], &["none"]);
}

/// Figures of episodes that may draw the same image twice are too high, which a remark says.
#[test]
fn repeated_images_give_a_remark() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = macula::data::open_named("phantoms:32:48", 1).unwrap();
    for index in 0..48 {
        let image = dataset.load(index).unwrap();
        let grey = image::GrayImage::from_raw(32, 32, image.pixels).unwrap();
        let class = folder.path().join("set").join(&dataset.class_names[dataset.records[index].label.unwrap()]);
        std::fs::create_dir_all(&class).unwrap();
        ["a", "b"].iter().for_each(|copy| grey.save(class.join(format!("{index}{copy}.png"))).unwrap());
    }
    let repeated = |data: &str| advise(folder.path(), data, "1")["remarks"].as_array().unwrap().len();
    assert_eq!([repeated("set"), repeated("phantoms:32:96")], [1, 0]);
}
