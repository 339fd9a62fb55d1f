//! `macula eval tasks`: the table of several encoders over several tasks, its files and its cache.
#![cfg(feature = "cli")]

mod shell;

use std::path::Path;

use serde_json::Value;
use shell::{expect, fails};

const TASKS: &str = "
[[task]]
name = 'one'
data = 'phantoms:16:300'
role = 'development'
domain = 'drawn'

[[task]]
name = 'two'
data = 'phantoms:24:300'
role = 'report'
domain = 'medical'
";

const SHORT: &str =
    "eval tasks --tasks tasks.toml --data . --shots 1,3 --queries 4 --episodes 6 --images-per-split 150 --quiet";

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn run(folder: &Path, more: &str) -> String {
    expect(0, folder, &words(&format!("{SHORT} {more}"))).0
}

/// The report without the measured times.
fn json(folder: &Path, more: &str) -> Value {
    let mut report = shell::json(&run(folder, &format!("{more} --json")));
    report["costs"].as_array_mut().unwrap().iter_mut().for_each(|cost| cost["milliseconds"] = Value::Null);
    report
}

#[test]
fn a_table_of_tasks_has_rows_means_costs_and_files_and_its_cache_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("tasks.toml"), TASKS).unwrap();
    let encoders = "--encoder tiny=random:pico --encoder random:pico@24 --encoder raw-pixels";
    let report = json(path, &format!("{encoders} --cache none"));
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5 * 2 * 2, "two floors, random:pico, two encoders; two tasks, two numbers of shots");
    for row in rows {
        let is_floor = ["raw-pixels", "colour-statistics"].contains(&row["encoder"].as_str().unwrap());
        assert_eq!(row["difference"].is_null(), is_floor, "{row}");
        assert_eq!((&row["images"][0], &row["episodes"]), (&150.into(), &6.into()));
        assert!(row["sensitivities"][0][1]["half_width_95"].is_number(), "{row}");
        let expected = if row["task"] == "one" { "development" } else { "report" };
        assert_eq!(row["role"], expected);
    }
    let over: Vec<&str> =
        report["averages"].as_array().unwrap().iter().map(|one| one["over"].as_str().unwrap()).collect();
    assert!(["all", "drawn", "medical", "development", "report"].iter().all(|group| over.contains(group)));
    assert_eq!(report["costs"].as_array().unwrap().len(), 5);
    for _ in 0..2 {
        assert_eq!(json(path, &format!("{encoders} --cache kept")), report);
    }
    let entries = || std::fs::read_dir(path.join("kept")).unwrap().count();
    let kept = entries();
    assert!(kept >= 5 * 2 * 2, "{kept} entries");
    json(path, &format!("{encoders} --cache kept --seed 2"));
    assert!(entries() > kept, "another seed has other figures");

    let against = json(path, &format!("{encoders} --cache kept --against raw-pixels"));
    for row in against["rows"].as_array().unwrap() {
        assert_eq!(row["reference"].is_null(), row["encoder"] == "raw-pixels", "{row}");
    }
    fails(2, "input", path, &words(&format!("{SHORT} --cache kept --against other")), &["other"]);

    let files = "--encoder tiny=random:pico --cache kept --csv out.csv --card out.md";
    let text = run(path, files);
    assert!(text.contains("one (development)") && text.contains("two (report)"), "{text}");
    let csv = std::fs::read_to_string(path.join("out.csv")).unwrap();
    let lines = |kind: &str| csv.lines().filter(|line| line.starts_with(kind)).count();
    assert_eq!((lines("kind,"), lines("task,")), (1, 4 * 2 * 2));
    assert_eq!(lines("mean,"), 4 * 2 * 5);
    let card = std::fs::read_to_string(path.join("out.md")).unwrap();
    assert_eq!(card.matches("\n| one | development |").count(), 2 * 2, "random:pico and tiny: {card}");
    fails(2, "exists", path, &words(&format!("{SHORT} {files}")), &["out.csv"]);
    run(path, &format!("{files} --force --only two --baselines none"));
    assert_eq!(std::fs::read_to_string(path.join("out.csv")).unwrap().lines().count(), 1 + 2 + 2);
}

#[test]
fn an_encoder_per_task_is_found_by_the_name_of_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("tasks.toml"), TASKS).unwrap();
    for (task, size) in [("one", 16), ("two", 24)] {
        let data = format!("--data phantoms:{size}:300 --size {size} --channels 1 --out own-{task}");
        let line = format!(
            "pretrain --method rotation --encoder pico --epochs 1 --batch-size 16 --validate never --quiet {data}"
        );
        expect(0, path, &words(&line));
    }
    let report = json(path, "--encoder own=own-{task} --baselines raw-pixels --cache none");
    let own: Vec<&Value> = report["rows"].as_array().unwrap().iter().filter(|row| row["encoder"] == "own").collect();
    let opened: Vec<&str> = own.iter().map(|row| row["opened"].as_str().unwrap()).collect();
    assert_eq!(opened, ["own-one", "own-one", "own-two", "own-two"]);
    for row in &own {
        assert_eq!(row["seen"], serde_json::json!({ "train": 150, "test": 0 }), "trained on the training split only");
    }
    // Trained on the labels of test images: refused.
    let other = "pretrain --method supervised --encoder pico --epochs 1 --batch-size 16 --validate never --quiet";
    let swapped = TASKS.replace("phantoms:24:300", "swapped.csv");
    std::fs::write(path.join("swapped.toml"), swapped).unwrap();
    let (mut train, mut test) = ("path,label,split\n".to_owned(), "path,label,split\n".to_owned());
    for number in 0..40u8 {
        let (name, class) = (format!("{number}.png"), if number % 2 == 0 { "a" } else { "b" });
        image::GrayImage::from_pixel(16, 16, image::Luma([number * 6])).save(path.join(&name)).unwrap();
        let (own, others) = if number < 20 { ("train", "test") } else { ("test", "train") };
        train += &format!("{name},{class},{own}\n");
        test += &format!("{name},{class},{others}\n");
    }
    std::fs::write(path.join("set.csv"), train).unwrap();
    std::fs::write(path.join("swapped.csv"), test).unwrap();
    expect(0, path, &words(&format!("{other} --data set.csv --size 16 --channels 1 --out labelled")));
    let line = format!("{} --encoder labelled --only two --cache none", SHORT.replace("tasks.toml", "swapped.toml"));
    fails(2, "input", path, &words(&line), &["labelled", "20"]);
}

#[test]
fn faulty_tasks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("tasks.toml"), TASKS).unwrap();
    for (more, part) in
        [("--only three", "three"), ("--encoder a=raw-pixels --encoder a=random:pico --cache none", "'a'")]
    {
        fails(2, "input", path, &words(&format!("{SHORT} {more}")), &[part]);
    }
    fails(2, "not-found", path, &words("eval tasks --tasks none.toml"), &["none.toml"]);
    fails(2, "not-found", path, &words(&format!("{SHORT} --encoder nothing --cache none")), &["task one", "nothing"]);
    std::fs::write(path.join("tasks.toml"), "[[task]]\nname = 1").unwrap();
    fails(2, "input", path, &words(SHORT), &["tasks.toml"]);
}
