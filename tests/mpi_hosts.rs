//! Pretraining on two hosts: network namespaces of this machine, each with an SSH server and an address of its own. Needs
//! the feature `mpi`, root and `ip`.
#![cfg(all(target_os = "linux", feature = "mpi"))]

#[path = "mpi/hosts.rs"]
mod hosts;
#[path = "mpi/job.rs"]
mod job;
mod shell;

use hosts::Hosts;
use job::finish;
use macula::pretrain::{METRICS, Run};
use shell::expect;

const SETTINGS: &str = "pretrain --data phantoms:16:48 --method simclr --encoder pico --channels 1 --size 16 --batch-size 24 \
    --epochs 4 --learning-rate 0.02 --metrics-steps 1 --sync-batch-norm --threads 1 --quiet";

#[test]
fn two_hosts_train_as_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let words = |out: &str| format!("{SETTINGS} --out {out}").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let one = words("one");
    expect(0, folder.path(), &one.iter().map(String::as_str).collect::<Vec<_>>());
    let hosts = Hosts::start();
    finish(0, hosts.mpirun(folder.path(), &words("two")));
    let losses = |run: &str| -> Vec<f64> {
        let text = std::fs::read_to_string(folder.path().join(run).join(METRICS)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter_map(|line| line["loss"].as_f64()).collect()
    };
    let (found, expected) = (losses("two"), losses("one"));
    assert_eq!((found.len(), expected.len()), (4, 4));
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-4 * expected.abs(), "{found} {expected}");
    }
    assert!(Run::load(&folder.path().join("two")).unwrap().finished);
    // Both hosts had a rank: a job that needs images which only one of them has names the other.
    let missing = format!("{SETTINGS} --out three").replace("phantoms:16:48", "here");
    std::fs::create_dir(folder.path().join("here")).unwrap();
    shell::draw_pictures(&folder.path().join("here"));
    let words: Vec<String> = missing.split_whitespace().map(str::to_owned).collect();
    let (code, text) = hosts.mpirun_without(folder.path(), "here", &words).output();
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("rank 1 on node-b"), "{text}");
    assert!(!folder.path().join("three").exists(), "{text}");
}
