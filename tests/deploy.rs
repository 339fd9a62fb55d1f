//! `macula deploy` against a real SSH server on the loopback address: files are copied once, it can be repeated, and a
//! failure rolls back. Needs an SSH server: `./check deploy` runs it.
#![cfg(all(feature = "host", feature = "onnx", unix))]

mod shell;
mod ssh_server;
mod stage;

use std::process::Command;

use ssh_server::free_port;
use stage::{Stage, copied};

#[test]
fn a_second_deployment_copies_and_starts_nothing() {
    let stage = Stage::new(None);
    let (bundle, program, key) = (stage.bundle("1", "1", "maker"), stage.program(), ["--trust", "maker.pub"]);
    let first = stage.deployed(&bundle, &program, &key);
    let all = vec!["macula", "device.macula", "key.pub"];
    assert_eq!((copied(&first), &first["started"]), (all, &true.into()), "{first}");
    assert!(first["before"].is_null() && first["service"] == "supervised", "{first}");
    assert!(first["golden"]["golden_error"].as_f64().unwrap() <= 2e-2, "{first}");
    assert!(first["bench"]["image_ms"]["p50"].as_f64().unwrap() > 0.0, "{first}");
    let encoder =
        first["self_test"].as_array().unwrap().iter().find(|row| row["test"].as_str().unwrap().contains("encoder"));
    assert_eq!(encoder.unwrap()["outcome"], "passed", "{first}");
    stage.teach();
    let (taught, keeper) = (stage.state(), stage.keeper());

    let second = stage.deployed(&bundle, &program, &key);
    assert_eq!((copied(&second), &second["started"]), (vec![], &false.into()), "{second}");
    assert_eq!((second["release"].clone(), stage.keeper()), (first["release"].clone(), keeper));
    assert_eq!(second["status"]["supports"], 4, "{second}");

    // The next release of the same encoder: only the bundle is copied, and the samples are kept.
    let next = stage.bundle("1", "2", "maker");
    let third = stage.deployed(&next, &program, &key);
    assert_eq!((copied(&third), &third["before"]), (vec!["device.macula"], &first["release"]), "{third}");
    assert_eq!(stage.state(), taught);

    // A file that is damaged on the target is copied again, although its name is right.
    let program_there = stage.there().join("files").join(first["files"][0]["sha256"].as_str().unwrap());
    let mut bytes = std::fs::read(&program_there).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&program_there).unwrap();
    std::fs::write(&program_there, &bytes).unwrap();
    // The device is killed too; its supervisor restarts it.
    let keeper = stage.keeper();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", keeper.trim())).unwrap();
    assert!(Command::new("kill").args(["-KILL", children.trim()]).status().unwrap().success());
    let last = stage.deployed(&next, &program, &key);
    assert_eq!((copied(&last), stage.keeper()), (vec!["macula"], keeper), "{last}");
    assert_eq!(stage.state(), taught);
}

#[test]
fn a_failure_rolls_back() {
    let stage = Stage::new(None);
    let (bundle, program, key) = (stage.bundle("1", "2", "maker"), stage.program(), ["--trust", "maker.pub"]);
    let (older, foreign) = (stage.bundle("1", "1", "maker"), stage.bundle("1", "3", "stranger"));
    // A program that is not Macula.
    let (unable, hasty) = (std::fs::canonicalize("/bin/true").unwrap(), ["--patience", "5"]);
    let unable = unable.to_str().unwrap();
    // Without an earlier release, none serves after a failure.
    let (_, err) = stage.deploy(3, &bundle, unable, &key);
    assert!(!stage.there().join("current").exists(), "{err}");
    stage.deploy(3, "shipped-1/encoder.onnx", unable, &hasty);
    assert!(!stage.there().join("current").exists() && !stage.there().join("device.store").exists());

    let first = stage.deployed(&bundle, &program, &key);
    stage.teach();
    let (taught, keeper) = (stage.state(), stage.keeper());
    let release = first["release"].as_str().unwrap();
    // An untrusted key is detected before any change: the same process continues.
    let (_, err) = stage.deploy(3, &foreign, &program, &key);
    assert!(err.contains("--trust") && err.contains(release), "{err}");
    assert_eq!((stage.state(), stage.keeper()), (taught.clone(), keeper));
    // The device detects an older bundle and another encoder than that of its store when it starts.
    let (_, err) = stage.deploy(3, &older, &program, &key);
    assert!(err.contains(release), "{err}");
    assert_eq!(stage.state(), taught);
    let other = stage.bundle("2", "3", "maker");
    let (_, err) = stage.deploy(3, &other, &program, &key);
    assert!(err.contains("macula update") && err.contains(release), "{err}");
    assert_eq!(stage.state(), taught);
    // A program that ends without a reply is detected by a timeout.
    let (_, err) = stage.deploy(3, "shipped-1/encoder.onnx", unable, &hasty);
    assert!(err.contains(release), "{err}");
    assert_eq!(stage.state(), taught);
    // Interrupted while a release was pending: the next deployment knows the release before it.
    std::fs::write(stage.there().join("trial"), release).unwrap();
    std::fs::copy(stage.there().join("device.store"), stage.there().join("device.store.before")).unwrap();
    let (_, err) = stage.deploy(3, &other, &program, &key);
    assert!(err.contains(release), "{err}");
    assert_eq!(stage.state(), taught);
    let last = stage.deployed(&bundle, &program, &key);
    assert_eq!((&last["release"], &last["started"]), (&first["release"], &false.into()), "{last}");
    assert!(!stage.there().join("trial").exists() && !stage.there().join("device.store.before").exists());
}

#[test]
fn a_deployment_fails_if_another_device_has_the_port() {
    let stage = Stage::new(None);
    let (bundle, program, key) = (stage.bundle("1", "1", "maker"), stage.program(), ["--trust", "maker.pub"]);
    stage.deployed(&bundle, &program, &key);
    stage.teach();
    let (taught, keeper) = (stage.state(), stage.keeper());
    // The same bundle to another folder: the first device still has the port and replies there.
    let elsewhere = stage.path().join("elsewhere");
    stage.deploy_to(&elsewhere, 3, &bundle, &program, &key);
    assert_eq!((stage.state(), stage.keeper()), (taught, keeper));
    assert!(!elsewhere.join("current").exists() && !elsewhere.join("device.store").exists());
    // Its supervisor has stopped.
    assert!(!elsewhere.join("pid").exists());
}

#[test]
fn a_program_for_another_machine_is_not_sent() {
    let stage = Stage::new(Some("aarch64"));
    std::fs::write(stage.path().join("encoder.onnx"), "not looked at").unwrap();
    let program = stage.program();
    let (_, err) = stage.deploy(2, "encoder.onnx", &program, &[]);
    assert!(err.contains("x86-64") && err.contains("aarch64"), "{err}");
    let (_, err) = stage.deploy(2, "encoder.onnx", "encoder.onnx", &[]);
    assert!(err.contains("encoder.onnx"), "{err}");
    let (_, err) = stage.deploy(2, "encoder.txt", &program, &[]);
    assert!(err.contains("encoder.txt"), "{err}");
    assert!(!stage.there().exists());
    drop(stage);

    let stage = Stage::new(Some("riscv64"));
    std::fs::write(stage.path().join("encoder.onnx"), "not looked at").unwrap();
    let (_, err) = stage.deploy(2, "encoder.onnx", &stage.program(), &[]);
    assert!(err.contains("riscv64"), "{err}");
    let port = free_port().to_string();
    let (_, err) = stage.deploy(4, "encoder.onnx", "program", &["--port", &port]);
    assert!(err.contains("board"), "{err}");
}
