//! `macula deploy` against a real SSH server on the loopback address: copied once, safe to repeat, and back to what was
//! when anything fails. Needs an SSH server: `./check deploy` runs it.
#![cfg(all(feature = "desk", feature = "onnx", unix))]

mod shell;
mod ssh_server;
mod stage;

use std::process::Command;

use ssh_server::free_port;
use stage::{Stage, copied};

#[test]
fn deployed_twice_it_is_copied_and_started_once() {
    let stage = Stage::new(None);
    let (encoder, program) = (stage.encoder("1"), stage.program());
    let first = stage.deployed(&encoder, &program, &[]);
    assert_eq!((copied(&first), &first["started"]), (vec!["macula", "device.onnx"], &true.into()), "{first}");
    assert!(first["before"].is_null() && first["service"] == "supervised", "{first}");
    assert!(first["bench"]["image_ms"]["p50"].as_f64().unwrap() > 0.0, "{first}");
    assert!(first["self_test"].as_array().is_some_and(|rows| rows.len() == 4), "{first}");
    stage.teach();
    let (taught, keeper) = (stage.state(), stage.keeper());

    let second = stage.deployed(&encoder, &program, &[]);
    assert_eq!((copied(&second), &second["started"]), (vec![], &false.into()), "{second}");
    assert_eq!((second["release"].clone(), stage.keeper()), (first["release"].clone(), keeper));
    assert_eq!(second["status"]["supports"], 4, "{second}");

    // Rotten on that disk: the name alone is not believed.
    let program_there = stage.there().join("files").join(first["files"][0]["sha256"].as_str().unwrap());
    let mut bytes = std::fs::read(&program_there).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&program_there).unwrap();
    std::fs::write(&program_there, &bytes).unwrap();
    let third = stage.deployed(&encoder, &program, &[]);
    assert_eq!(copied(&third), ["macula"], "{third}");
    assert_eq!(stage.state(), taught);

    // It runs until it is killed, and then again.
    let keeper = stage.keeper();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", keeper.trim())).unwrap();
    assert!(Command::new("kill").args(["-KILL", children.trim()]).status().unwrap().success());
    let again = stage.deployed(&encoder, &program, &[]);
    assert_eq!(again["status"]["supports"], 4, "{again}");
}

#[test]
fn what_fails_leaves_what_was() {
    let stage = Stage::new(None);
    let (encoder, other, program) = (stage.encoder("1"), stage.encoder("2"), stage.program());
    // Where nothing served, nothing does afterwards: this is a program, but no device's.
    let stranger = std::fs::canonicalize("/bin/true").unwrap();
    let (_, err) = stage.deploy(3, &encoder, stranger.to_str().unwrap(), &["--patience", "5"]);
    assert!(err.contains("nothing serves there, as before"), "{err}");
    assert!(!stage.there().join("current").exists() && !stage.there().join("device.store").exists());

    let first = stage.deployed(&encoder, &program, &[]);
    stage.teach();
    let taught = stage.state();
    let serves_again = format!("release {} serves again", first["release"].as_str().unwrap());
    // The store was taught with another encoder: the device ends with a sentence, and that is what we are told.
    let (_, err) = stage.deploy(3, &other, &program, &[]);
    assert!(err.contains("was taught on encoder") && err.contains(&serves_again), "{err}");
    assert_eq!(stage.state(), taught);
    // A program that starts and does not answer.
    let (_, err) = stage.deploy(3, &encoder, stranger.to_str().unwrap(), &["--patience", "5"]);
    assert!(err.contains(&serves_again), "{err}");
    assert_eq!(stage.state(), taught);
    // The line was cut while a release was on trial: the next deployment knows what was before it.
    std::fs::write(stage.there().join("trial"), first["release"].as_str().unwrap()).unwrap();
    std::fs::copy(stage.there().join("device.store"), stage.there().join("device.store.before")).unwrap();
    let (_, err) = stage.deploy(3, &other, &program, &[]);
    assert!(err.contains(&serves_again), "{err}");
    assert_eq!(stage.state(), taught);
    let last = stage.deployed(&encoder, &program, &[]);
    assert_eq!((&last["release"], &last["started"]), (&first["release"], &false.into()), "{last}");
    assert!(!stage.there().join("trial").exists() && !stage.there().join("device.store.before").exists());
}

#[test]
fn what_cannot_run_there_is_not_sent() {
    let stage = Stage::new(Some("aarch64"));
    std::fs::write(stage.path().join("encoder.onnx"), "not looked at").unwrap();
    let program = stage.program();
    let (_, err) = stage.deploy(2, "encoder.onnx", &program, &[]);
    assert!(err.contains("is a program for x86-64, board needs one for aarch64"), "{err}");
    let (_, err) = stage.deploy(2, "encoder.onnx", "encoder.onnx", &[]);
    assert!(err.contains("a program for no machine that is known"), "{err}");
    let (_, err) = stage.deploy(2, "encoder.txt", &program, &[]);
    assert!(err.contains("FILE.macula, FILE.onnx or FILE.blob"), "{err}");
    assert!(!stage.there().exists());
    drop(stage);

    let stage = Stage::new(Some("riscv64"));
    std::fs::write(stage.path().join("encoder.onnx"), "not looked at").unwrap();
    let (_, err) = stage.deploy(2, "encoder.onnx", &stage.program(), &[]);
    assert!(err.contains("a Linux machine of type riscv64"), "{err}");
    let port = free_port().to_string();
    let (_, err) = stage.deploy(4, "encoder.onnx", "program", &["--port", &port]);
    assert!(err.contains("cannot reach board over SSH"), "{err}");
}
