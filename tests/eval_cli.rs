//! `macula eval`: classes without images, a single class, and the comparisons with the floors.
#![cfg(feature = "cli")]

mod shell;

use std::path::Path;

use serde_json::Value;
use shell::{expect, fails};

fn words(arguments: &str) -> Vec<&str> {
    ["eval"].into_iter().chain(arguments.split_whitespace()).collect()
}

/// The table that `macula eval` prints.
fn table(arguments: &str) -> String {
    expect(0, Path::new("."), &words(arguments)).0
}

fn json(arguments: &str) -> Value {
    shell::json(&table(&format!("{arguments} --json --quiet")))
}

/// Writes `count` grey images of about `level` to `folder/SPLIT/CLASS`.
fn write(folder: &Path, split: &str, class: &str, level: u8, count: u8) {
    let place = folder.join(split).join(class);
    std::fs::create_dir_all(&place).unwrap();
    for number in 0..count {
        let pixel = |x: u32, y: u32| image::Luma([level.wrapping_add((x * 3 + y * 7) as u8 % 20 + number)]);
        image::GrayImage::from_fn(16, 16, pixel).save(place.join(format!("{number}.png"))).unwrap();
    }
}

/// The command line of each probe on `data`, with few episodes.
fn probes(data: &Path, encoder: &str) -> [String; 4] {
    let few = "--shots 1 --queries 1 --episodes 6";
    ["knn", "linear", &format!("few-shot {few}"), &format!("abstention {few}")]
        .map(|probe| format!("{probe} --encoder {encoder} --data {} --image-size 16", data.display()))
}

#[test]
fn one_class_is_refused_by_every_probe() {
    let folder = tempfile::tempdir().unwrap();
    for (split, classes) in [("train", &["a", "b"][..]), ("test", &["a"])] {
        classes.iter().for_each(|class| write(folder.path(), split, class, 40, 4));
    }
    for arguments in probes(folder.path(), "raw-pixels") {
        fails(2, "input", folder.path(), &words(&format!("{arguments} --quiet")), &["'a'"]);
    }
    write(folder.path(), "test", "b", 160, 4);
    for arguments in probes(folder.path(), "raw-pixels") {
        table(&arguments);
    }
}

#[test]
fn a_class_without_test_images_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    for (class, level) in [("a", 20), ("b", 90), ("c", 170)] {
        write(folder.path(), "train", class, level, 5);
    }
    write(folder.path(), "test", "a", 20, 5);
    write(folder.path(), "test", "c", 170, 5);
    for arguments in probes(folder.path(), "raw-pixels") {
        let report = json(&arguments);
        let remarks = report["remarks"].as_array().unwrap();
        assert!(remarks.iter().any(|remark| remark.as_str().unwrap().contains("class b")), "{arguments}: {report}");
        let drawn = arguments.starts_with("few-shot") || arguments.starts_with("abstention");
        assert_eq!(report["class_names"].as_array().unwrap().len(), if drawn { 2 } else { 3 }, "{arguments}");
        let text = table(&arguments);
        assert!(!text.contains("NaN"), "{text}");
    }
    let knn = json(&probes(folder.path(), "raw-pixels")[0]);
    assert_eq!(knn["rows"][0]["recalls"], serde_json::json!([1.0, null, 1.0]));
    assert_eq!(knn["rows"][0]["balanced_accuracy"]["mean"], 1.0);
    assert!(knn["rows"][0]["balanced_accuracy"]["half_width_95"].as_f64().unwrap() > 0.1, "five images prove little");
    // A test class without training images is refused by name.
    write(folder.path(), "test", "d", 220, 5);
    fails(2, "input", folder.path(), &words(&probes(folder.path(), "raw-pixels")[0]), &["'d'"]);
}

#[test]
fn every_probe_ends_with_comparisons_with_the_floors() {
    for (probe, comparisons) in [
        ("knn", 2),
        ("linear", 2),
        ("few-shot --shots 1,3 --queries 5 --episodes 10 --head prototype", 2 * 2),
        ("abstention --shots 9 --error-rates 10,20 --queries 4 --episodes 10", 2 * 2),
        (
            "operating-point --positive cells --operating-point sensitivity=0.9,costs=5:1 --shots 9 --queries 4 --episodes 10",
            2 * 2,
        ),
    ] {
        let of = |encoder: &str| format!("{probe} --encoder {encoder} --data phantoms:16:400 --image-size 16");
        let report = json(&of("random:pico"));
        let found = report["comparison"].as_array().unwrap();
        assert_eq!(found.len(), comparisons, "{probe}: {report}");
        for comparison in found {
            let number = |value: &Value| value.as_f64().unwrap();
            let [low, high] = [0, 1].map(|end| number(&comparison["interval"][end]));
            let difference = number(&comparison["difference"]);
            assert!(low <= high && low <= difference && difference <= high, "{comparison}");
            let expected = if low > 0.0 {
                "ahead"
            } else if high < 0.0 {
                "behind"
            } else {
                "level"
            };
            assert_eq!(comparison["verdict"], expected);
            assert_eq!(comparison["encoder"], "random:pico");
            let baseline = comparison["baseline"].as_str().unwrap();
            assert!(["raw-pixels", "colour-statistics"].contains(&baseline), "{comparison}");
            assert!(comparison["intervals_overlap"].is_boolean());
        }
        if probe == "knn" || probe == "linear" {
            let mean = |row: usize| report["rows"][row]["balanced_accuracy"]["mean"].as_f64().unwrap();
            let pixels = report["rows"].as_array().unwrap().iter().position(|row| row["encoder"] == "raw-pixels");
            let difference = mean(0) - mean(pixels.unwrap());
            assert!((found[0]["difference"].as_f64().unwrap() - difference).abs() < 1e-12);
        }
        let of_pixels = found.iter().filter(|comparison| comparison["baseline"] == "raw-pixels").count();
        assert_eq!(2 * of_pixels, comparisons, "each floor is compared as often");
        let text = table(&of("random:pico"));
        let verdict = found[comparisons - 1]["verdict"].as_str().unwrap();
        assert!(text.lines().last().unwrap().contains(verdict), "{text}");
        assert_eq!(json(&of("raw-pixels"))["comparison"], serde_json::json!([]), "the baseline itself");
        let alone = json(&format!("{} --baselines none", of("random:pico")));
        assert!(!alone["rows"].as_array().unwrap().is_empty());
        assert_eq!(alone["comparison"], serde_json::json!([]));
    }
}

/// One episode has no spread, so it gets no interval.
#[test]
fn one_episode_has_no_interval() {
    let arguments = "few-shot --encoder random:pico --data phantoms:16:200 --image-size 16 --shots 1 --queries 2 \
                     --episodes 1 --head prototype";
    let report = json(arguments);
    assert_eq!(report["rows"][0]["balanced_accuracy"]["half_width_95"], Value::Null);
    assert_eq!(report["comparison"][0]["verdict"], "undecided");
    assert_eq!(report["comparison"][0]["interval"], Value::Null);
}

/// The report has the figures of every kind of probe, and its mistakes are pictures.
#[test]
fn reports_show_what_the_encoder_does_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for (split, level, count) in [("train", 0, 8), ("test", 3, 8)] {
        ["a", "b", "c"]
            .iter()
            .zip([40, 47, 170])
            .for_each(|(class, at)| write(folder.path(), split, class, at + level, count));
    }
    for probe in ["knn", "linear", "few-shot --shots 1,2 --queries 2 --episodes 6"] {
        let out = folder.path().join("report.html");
        let line = format!(
            "{probe} --encoder raw-pixels --baselines none --data {} --image-size 16 --report {} --force",
            folder.path().display(),
            out.display()
        );
        table(&line);
        let html = std::fs::read_to_string(&out).unwrap();
        for part in [
            "Confusion matrix",
            "specificity",
            "ROC curve",
            "Reliability diagram",
            "Error rate by coverage",
            "Expected calibration",
        ] {
            assert!(html.contains(part), "{probe}: {part}");
        }
        for forbidden in ["<script", "http://", "https://", "NaN"] {
            assert!(!html.contains(forbidden), "{probe}: {forbidden}");
        }
        assert_eq!(html.contains("Labels needed"), probe.starts_with("few-shot"), "{probe}");
        let refused = line.replace(" --force", "");
        fails(2, "exists", folder.path(), &words(&refused), &["report.html", "--force"]);
    }
    let html = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(html.contains("predicted as") && html.contains("data:image/png;base64,"), "classes a and b look alike");
}

/// Noise of 64×64 pixels; in images of class `b` one square of 8×8 is checked.
fn write_spots(folder: &Path, split: &str, count: u32) {
    for (class, number) in ["a", "b"].into_iter().flat_map(|class| (0..count).map(move |number| (class, number))) {
        let place = folder.join(split).join(class);
        std::fs::create_dir_all(&place).unwrap();
        let (left, top) = (number * 13 % 57, number * 29 % 57);
        let seed = number * 7 + u32::from(class == "b") * 1_000 + u32::from(split == "test") * 5_000;
        let pixel = |x: u32, y: u32| {
            let noise = (x.wrapping_mul(374_761_393) ^ y.wrapping_mul(668_265_263) ^ seed.wrapping_mul(2_246_822_519))
                .wrapping_mul(1_274_126_177);
            let spot = class == "b" && (left..left + 8).contains(&x) && (top..top + 8).contains(&y);
            image::Luma([if spot { 255 * ((x + y) % 2) as u8 } else { 100 + (noise >> 27) as u8 }])
        };
        image::GrayImage::from_fn(64, 64, pixel).save(place.join(format!("{number}.png"))).unwrap();
    }
}

#[test]
fn tiles_see_a_spot_that_the_whole_image_loses() {
    let folder = tempfile::tempdir().unwrap();
    write_spots(folder.path(), "train", 6);
    write_spots(folder.path(), "test", 20);
    let report = json(&format!(
        "few-shot --encoder raw-pixels --image-size 8 --data {} --tiles 1,overlap=0.5 --tile-pooling mean,attention \
         --baselines none --shots 5 --queries 10 --episodes 20",
        folder.path().display()
    ));
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["encoder"].as_str().unwrap()).collect();
    let tiled = "raw-pixels in tiles at 1,overlap=0.5";
    assert_eq!(names, [tiled, &format!("{tiled} by attention"), "raw-pixels"]);
    let accuracy: Vec<f64> = rows.iter().map(|row| row["balanced_accuracy"]["mean"].as_f64().unwrap()).collect();
    assert!(accuracy[1] > accuracy[2] + 0.1, "attention, of {accuracy:?}");
    assert!(rows.iter().all(|row| row["sensitivity_at_95_specificity"]["mean"].is_number()), "{report}");
    let compared: Vec<&str> =
        report["comparison"].as_array().unwrap().iter().map(|row| row["baseline"].as_str().unwrap()).collect();
    assert_eq!(compared, ["raw-pixels", tiled, "raw-pixels"]);
    // One tile at a scale that takes in the whole image is the whole image.
    let one = json(&format!(
        "few-shot --encoder raw-pixels --image-size 8 --data {} --tiles 8,empty=0 --baselines none --shots 5 --queries 10 \
         --episodes 20",
        folder.path().display()
    ));
    assert_eq!(one["rows"][0]["confusion"], one["rows"][1]["confusion"]);
}
