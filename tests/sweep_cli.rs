//! `macula sweep`: runs, results and the table; continued after a stop, the same from the same file.
#![cfg(all(feature = "cli", feature = "onnx"))]

mod shell;

use std::path::Path;

use shell::{expect, fails, json};

const TASKS: &str = "[[task]]\nname = \"phantoms\"\ndata = \"phantoms:16:180\"\n\
                     role = \"development\"\ndomain = \"drawn\"\n";

const SWEEP: &str = "tasks = \"tasks.toml\"\nseeds = [1, 2]\n\
                     evaluation = { shots = [1, 3], episodes = 6, queries = 3 }\n[base]\ndata = \"phantoms:16:60\"\nmethod = \"rotation\"\n\
                     encoder = \"pico\"\nsize = 16\nepochs = 1\nbatch_size = 16\nvalidate = \"never\"\n\
                     [[vary]]\nsetting = \"policy\"\nvalues = [\"none\", \"medical\"]\n";

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

fn sweep(code: i32, folder: &Path, out: &str) -> (String, String) {
    expect(code, folder, &["sweep", "sweep.toml", "--out", out, "--json"])
}

/// Names of the entries of a folder, sorted.
fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_sweep_is_repeatable_and_trains_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "tasks.toml", TASKS);
    write(path, "sweep.toml", SWEEP);
    let (out, err) = sweep(0, path, "out");
    let report = json(&out);
    assert_eq!((&report["runs"], &report["failed"]), (&4.into(), &0.into()));
    assert_eq!(err.lines().filter(|line| line.starts_with("run ")).count(), 4, "{err}");
    // Two settings and two floors at two numbers of shots.
    let rows = report["table"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    assert_eq!((&rows[0][0], &rows[0][1], &rows[0][7]), (&"policy=none".into(), &"2/2".into(), &"-".into()));
    let runs = entries(&path.join("out/runs"));
    assert_eq!((runs.len(), entries(&path.join("out/results")).len()), (4, 6));
    let config = std::fs::read_to_string(path.join("out/runs").join(&runs[0]).join("config.toml")).unwrap();
    assert!(config.contains("channels = 1\n") && config.contains("encoder = \"pico\"\n"), "{config}");
    let csv = std::fs::read(path.join("out/sweep.csv")).unwrap();

    // Without results, the runs are measured again but not trained again; another folder gives the same bytes.
    let checkpoint = path.join("out/runs").join(&runs[0]).join("checkpoint.safetensors");
    let trained = std::fs::metadata(&checkpoint).unwrap().modified().unwrap();
    std::fs::remove_file(path.join("out/results").join(&entries(&path.join("out/results"))[0])).unwrap();
    assert_eq!(sweep(0, path, "out").0, out);
    assert_eq!(std::fs::metadata(&checkpoint).unwrap().modified().unwrap(), trained);
    sweep(0, path, "again");
    assert_eq!(std::fs::read(path.join("again/sweep.csv")).unwrap(), csv);
    assert_eq!(entries(&path.join("again/runs")), runs);

    // One more value adds its runs to those there are.
    write(path, "sweep.toml", &SWEEP.replace("\"medical\"]", "\"medical\", \"light\"]"));
    sweep(0, path, "out");
    let more = entries(&path.join("out/runs"));
    assert!(more.len() == 6 && runs.iter().all(|run| more.contains(run)), "{more:?}");
}

#[test]
fn an_unfinished_run_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "tasks.toml", TASKS);
    write(path, "sweep.toml", &SWEEP.replace("seeds = [1, 2]", "seeds = [1]"));
    sweep(0, path, "whole");
    let runs = entries(&path.join("whole/runs"));
    // A run that was stopped before its first checkpoint has its configuration only.
    let started = path.join("out/runs").join(&runs[0]);
    std::fs::create_dir_all(&started).unwrap();
    std::fs::copy(path.join("whole/runs").join(&runs[0]).join("config.toml"), started.join("config.toml")).unwrap();
    sweep(0, path, "out");
    let read = |out: &str| std::fs::read(path.join(out).join("sweep.csv")).unwrap();
    assert_eq!(read("out"), read("whole"));
    // A folder of this name with another run is not overwritten.
    let other = path.join("other/runs").join(&runs[0]);
    std::fs::create_dir_all(&other).unwrap();
    let config = std::fs::read_to_string(started.join("config.toml")).unwrap();
    std::fs::write(other.join("config.toml"), config.replace("batch_size = 16", "batch_size = 17")).unwrap();
    fails(2, "input", path, &["sweep", "sweep.toml", "--out", "other", "--quiet"], &[&runs[0]]);
}

#[test]
fn a_diverged_run_is_a_result_and_no_setting_is_chosen_on_reports() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "tasks.toml", TASKS);
    let diverging = "[[run]]\nname = \"wild\"\nsettings = { learning_rate = 100.0, weight_decay = 1.0, epochs = 8 }\n";
    write(
        path,
        "sweep.toml",
        &SWEEP.replace("[[vary]]", &format!("{diverging}[[vary]]")).replace("seeds = [1, 2]", "seeds = [1]"),
    );
    let report = json(&sweep(0, path, "out").0);
    let rows = report["table"]["rows"].as_array().unwrap();
    let last = &rows[4];
    assert_eq!((&report["failed"], &last[0], &last[1]), (&1.into(), &"wild".into(), &"0/1".into()));
    assert_eq!((&report["runs"], &rows[0][1]), (&3.into(), &"1/1".into()));

    let reported = TASKS.replace("development", "report").replace("\"phantoms\"", "\"reported\"");
    write(path, "tasks.toml", &format!("{TASKS}{reported}"));
    assert_eq!(json(&sweep(0, path, "out").0), report, "a task for reports is left out");

    write(path, "tasks.toml", &reported);
    fails(2, "input", path, &["sweep", "sweep.toml", "--out", "other", "--quiet"], &["reported"]);
    assert!(!path.join("other").exists(), "nothing is trained before the tasks are checked");
}
