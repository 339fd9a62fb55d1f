//! The health gate on complete runs: no objective is stopped, and a collapse ends the run with exit code 3.
#![cfg(feature = "cli")]

use std::path::Path;
use std::process::Command;

use macula::pretrain::{CHECKPOINT, Checkpoint, Run, RunFolder};

/// Exit code and standard error of a short run of the smallest encoder on grey phantoms.
fn pretrain(out: &Path, arguments: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    command.args("pretrain --data phantoms:16:192 --encoder pico --channels 1 --size 16 --validate never".split(' '));
    let output = command.args(arguments.split(' ')).arg("--out").arg(out).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_objective_is_measured_and_none_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    for method in ["rotation", "supervised", "simclr", "triplet", "moco", "masked"] {
        let out = folder.path().join(method);
        let (code, message) = pretrain(&out, &format!("--method {method} --epochs 3 --batch-size 32"));
        assert_eq!(code, Some(0), "{method}: {message}");
        assert!(message.contains("effective rank"), "{method}: {message}");
        for line in RunFolder::open(&out).unwrap().0.epochs().unwrap() {
            let health = line.health.unwrap();
            assert!(health.knn.unwrap() > 1.0 / 6.0, "{method}: chance is one of six: {health:?}");
            assert!(health.images > 100 && health.alignment.unwrap() > 0.0, "{method}: {health:?}");
            assert!(health.uniformity < -0.01 && health.deviation > 0.05, "{method}: {health:?}");
            assert!(health.effective_rank > 2.0 && health.effective_rank <= 32.0, "{method}: {health:?}");
        }
    }
}

#[test]
fn measuring_health_does_not_change_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = ["epoch", "never"].map(|health| {
        let out = folder.path().join(health);
        assert_eq!(pretrain(&out, &format!("--method moco --epochs 2 --batch-size 32 --health {health}")).0, Some(0));
        Checkpoint::read(&out.join(CHECKPOINT)).unwrap().tensors
    });
    assert!(tensors[0] == tensors[1]);
}

/// The hardest triplets at a learning rate a thousand times too high collapse the embeddings.
#[test]
fn a_collapse_ends_the_run_with_its_figures_and_advice() {
    let folder = tempfile::tempdir().unwrap();
    let [stopped, let_go] = ["stopped", "let go"].map(|name| folder.path().join(name));
    let collapsing =
        "--method triplet --miner batch-hard --learning-rate 30 --warmup-fraction 0 --epochs 6 --batch-size 32";
    let (code, message) = pretrain(&stopped, collapsing);
    assert_eq!(code, Some(3), "{message}");
    for part in ["epoch", "30", "semi-hard", "32"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(stopped.join(CHECKPOINT).exists());
    let run = Run::load(&stopped).unwrap();
    assert!(run.step > 0, "the last checkpoint can be evaluated");
    let (code, message) = pretrain(&let_go, &format!("{collapsing} --health never"));
    assert_eq!(code, Some(0), "{message}");
    assert!(RunFolder::open(&let_go).unwrap().0.epochs().unwrap().iter().all(|line| line.health.is_none()));
}
