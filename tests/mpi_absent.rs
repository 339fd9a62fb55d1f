//! A program without MPI that `mpirun` starts several times.
#![cfg(not(feature = "mpi"))]

use std::process::Command;

#[test]
fn one_of_several_processes_refuses_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let line = "pretrain --data phantoms:16:24 --method rotation --encoder pico --channels 1 --size 16 --batch-size 8 --epochs 1 \
                --json --quiet --out run";
    let started = |variable: &str, size: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
        command.current_dir(folder.path()).args(line.split_whitespace()).env(variable, size).output().unwrap()
    };
    for variable in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] {
        let output = started(variable, "3");
        assert_eq!(output.status.code(), Some(2));
        let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["error"]["kind"], "input");
        assert!(error["error"]["message"].as_str().unwrap().contains("3 processes"), "{error}");
        assert!(!folder.path().join("run").exists());
    }
    assert_eq!(started("OMPI_COMM_WORLD_SIZE", "1").status.code(), Some(0), "a single process trains");
}
