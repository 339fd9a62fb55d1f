//! `mpirun -n N macula pretrain`: the same training as in one process, and how a job ends. Needs the feature `mpi`.
#![cfg(all(unix, feature = "mpi"))]

#[path = "mpi/job.rs"]
mod job;
mod shell;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use job::{Job, finish, ranks_of};
use macula::pretrain::{CHECKPOINT, CONFIG, METRICS, Run, RunFolder};
use serde_json::Value;
use shell::{draw_pictures, expect};

/// Eight epochs of one step of `method` on phantoms.
fn run(method: &str, more: &str) -> Vec<String> {
    epochs(8, method, more)
}

/// A run of `method` on phantoms, one step per epoch and a line of metrics per step.
fn epochs(count: usize, method: &str, more: &str) -> Vec<String> {
    let line = format!(
        "pretrain --data phantoms:16:48 --method {method} --encoder pico --channels 1 --size 16 --batch-size 24 \
         --epochs {count} --learning-rate 0.02 --metrics-steps 1 --queue 64 --threads 1 --quiet {more}"
    );
    line.split_whitespace().map(str::to_owned).collect()
}

/// The loss of every step.
fn losses(run: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(run.join(METRICS)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line["loss"].as_f64()).collect()
}

fn bytes(run: &Path) -> [Vec<u8>; 3] {
    [CONFIG, METRICS, CHECKPOINT].map(|name| std::fs::read(run.join(name)).unwrap())
}

#[test]
fn with_synchronised_batch_norm_the_losses_are_those_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    for method in ["simclr", "moco", "triplet", "rotation", "masked", "supervised"] {
        let line = |out: &str| run(method, &format!("--sync-batch-norm --out {method}-{out}"));
        let one: Vec<String> = line("one");
        expect(0, folder.path(), &one.iter().map(String::as_str).collect::<Vec<_>>());
        let expected = losses(&folder.path().join(format!("{method}-one")));
        assert_eq!(expected.len(), 8, "{method}");
        for size in [2, 3] {
            finish(0, Job::start(folder.path(), size, &line(&size.to_string())));
            let found = losses(&folder.path().join(format!("{method}-{size}")));
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let relative = (found - expected).abs() / expected.abs();
                assert!(relative < 1e-4, "{method} on {size}: {found} {expected}");
            }
        }
    }
}

#[test]
fn the_same_number_of_ranks_gives_the_same_bytes_and_batch_norm_is_per_rank_by_default() {
    let folder = tempfile::tempdir().unwrap();
    for out in ["a", "b"] {
        finish(0, Job::start(folder.path(), 4, &run("simclr", &format!("--weight-average 0.9 --out {out}"))));
    }
    finish(
        0,
        Job::start(folder.path(), 4, &run("simclr", "--weight-average 0.9 --sync-batch-norm --out synchronised")),
    );
    let [a, b, synchronised] = ["a", "b", "synchronised"].map(|out| folder.path().join(out));
    assert!(bytes(&a) == bytes(&b));
    let first = |run: &Path| losses(run)[0];
    assert!((first(&a) - first(&synchronised)).abs() > 1e-3, "{} {}", first(&a), first(&synchronised));
    assert!(Run::load(&a).unwrap().info.corpus.is_some(), "the run is finished");
    assert!(!std::fs::read_to_string(a.join(CONFIG)).unwrap().contains("rank"), "nothing ties a run to ranks");
}

/// A run that would take hours.
fn endless(more: &str) -> Vec<String> {
    epochs(100_000, "simclr", &format!("--health never --validate never {more}"))
}

/// Waits until the run has a checkpoint.
fn await_checkpoint(run: &Path) {
    let started = Instant::now();
    while !run.join(CHECKPOINT).exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "{} has no checkpoint", run.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

#[test]
fn a_signal_stops_all_ranks_at_one_step_and_another_number_continues() {
    for to in ["mpirun", "rank"] {
        let folder = tempfile::tempdir().unwrap();
        let job = Job::start(folder.path(), 2, &endless("--out run"));
        let out = folder.path().join("run");
        await_checkpoint(&out);
        let last_rank = *ranks_of(&job).last().unwrap();
        signal("-TERM", if to == "mpirun" { job.id() } else { last_rank });
        let (code, text) = job.output();
        assert!(code != Some(0), "{to}: {text}");
        assert_eq!(code == Some(130), to == "rank", "{text}");
        let step = RunFolder::open(&out).unwrap().0.checkpoint().unwrap().unwrap().progress.step;
        let metrics = losses(&out).len() as u64;
        assert_eq!(step, metrics, "{to}: the checkpoint is of the last step, not of an earlier one");
        // One process and three ranks go on from there for some more steps.
        for size in [1, 3] {
            let resume = "pretrain --resume --threads 1 --quiet --out run";
            let words: Vec<String> = resume.split(' ').map(str::to_owned).collect();
            let job = Job::start(folder.path(), size, &words);
            let before = losses(&out).len();
            let started = Instant::now();
            while losses(&out).len() < before + 6 {
                assert!(started.elapsed() < Duration::from_secs(60), "no step within a minute");
                std::thread::sleep(Duration::from_millis(50));
            }
            signal("-TERM", *ranks_of(&job).first().unwrap());
            job.output();
        }
    }
}

#[test]
fn a_killed_rank_ends_the_job_and_the_checkpoint_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let job = Job::start(folder.path(), 3, &endless("--out run"));
    let out = folder.path().join("run");
    await_checkpoint(&out);
    signal("-KILL", ranks_of(&job)[1]);
    let (code, text) = job.output();
    assert!(code.is_some_and(|code| code != 0), "{text}");
    assert!(Run::load(&out).unwrap().step > 0);
}

#[test]
fn an_error_of_one_rank_is_one_message_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path());
    std::fs::write(folder.path().join("wrong.png"), "no image").unwrap();
    let line = "pretrain --data . --method rotation --encoder pico --size 16 --batch-size 4 --epochs 1 --strict --json --out run";
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let (code, text) = Job::start(folder.path(), 2, &words).output();
    assert_eq!(code, Some(2), "{text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("{\"error\"")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    assert!(errors[0].contains("wrong.png"), "{text}");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_command_that_does_not_divide_its_work_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["encoders".to_owned()];
    let (code, text) = Job::start(folder.path(), 2, &words).output();
    assert_eq!(code, Some(2), "{text}");
    finish(0, Job::start(folder.path(), 1, &words));
}
