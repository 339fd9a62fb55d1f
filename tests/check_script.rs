//! `./check` with a stand-in for cargo: its summary, and that it passes only if every step passes.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Three steps that need nothing but cargo; the last one runs tests.
const STEPS: [&str; 3] = ["fmt", "clippy", "licences"];

/// The shell command that stands in for each subcommand of cargo.
struct Cargo<'c> {
    clippy: &'c str,
    test: &'c str,
}

const TESTS: &str =
    "echo 'test result: ok. 7 passed; 0 failed; 2 ignored; 0 measured; 1 filtered out; finished in 0.01s'";
const GOOD: Cargo<'_> = Cargo { clippy: "true", test: TESTS };

/// A copy of the script beside its stand-ins.
fn stage(cargo: &Cargo<'_>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("check"), path.join("check")).unwrap();
    fs::write(path.join("Cargo.toml"), "rust-version = \"1.80\"\n").unwrap();
    fs::create_dir(path.join("bin")).unwrap();
    let Cargo { clippy, test } = cargo;
    let scripts = [
        // The script asks for versions first: "cargo clippy --version".
        ("cargo", format!("case \"$*\" in *--version*) exit 0 ;; clippy*) {clippy} ;; test*) {test} ;; esac")),
        ("rustc", "echo 'rustc 1.99.0'".to_owned()),
        ("cc", "exit 0".to_owned()),
    ];
    for (name, script) in scripts {
        let file = path.join("bin").join(name);
        fs::write(&file, format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn command(folder: &Path, steps: &[&str]) -> Command {
    let mut command = Command::new("bash");
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    command.arg("check").args(steps).current_dir(folder).env("PATH", path).env_remove("MACULA_DATA");
    command
}

fn check(cargo: &Cargo<'_>, steps: &[&str]) -> (Option<i32>, String) {
    let folder = stage(cargo);
    let Output { status, stdout, stderr } = command(folder.path(), steps).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.code(), text)
}

/// Whether a line of the summary begins with `state` and `step`.
fn has_line(text: &str, state: &str, step: &str) -> bool {
    text.lines()
        .any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(&format!("{state} {step}")))
}

#[test]
fn all_steps_pass_and_their_tests_are_counted() {
    let (code, text) = check(&GOOD, &STEPS);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("7 tests passed, 0 skipped, 2 ignored"), "{text}");
    assert!(STEPS.iter().all(|step| has_line(&text, "passed", step)), "{text}");
}

#[test]
fn a_signal_is_a_failure_and_the_summary_lists_every_step() {
    for (signal, expected) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        // The interrupted command itself succeeds, so only the missing steps show the failure.
        let clippy = format!("kill -{signal} $PPID; exit 0");
        let (code, text) = check(&Cargo { clippy: &clippy, ..GOOD }, &STEPS);
        assert_eq!(code, Some(expected), "{signal}: {text}");
        assert!(text.contains(&format!("SIG{signal}")), "{text}");
        assert!(has_line(&text, "passed", "fmt") && has_line(&text, "FAILED", "clippy"), "{text}");
        assert!(has_line(&text, "not run", "licences"), "{text}");
    }
}

#[test]
fn a_failed_step_ends_the_run() {
    let (code, text) = check(&Cargo { clippy: "exit 3", ..GOOD }, &STEPS);
    assert!(code.is_some_and(|code| code != 0), "{text}");
    assert!(has_line(&text, "FAILED", "clippy") && has_line(&text, "not run", "licences"), "{text}");
}

#[test]
fn a_step_without_a_test_that_ran_fails() {
    let skips = "for test in 1 2 3 4 5 6 7; do echo \"skipped: $test\" >>\"$MACULA_SKIPPED\"; done";
    let all_skipped = format!("{skips}; {TESTS}");
    for test in ["true", &TESTS.replace('7', "0"), &all_skipped] {
        let (code, text) = check(&Cargo { test, ..GOOD }, &STEPS);
        assert!(code.is_some_and(|code| code != 0), "{test}: {text}");
        assert!(has_line(&text, "FAILED", "licences"), "{text}");
    }
    // One of seven tests ran: the step passes, and the six skipped ones are listed.
    let six = all_skipped.replace(" 7;", ";");
    let (code, text) = check(&Cargo { test: &six, ..GOOD }, &STEPS);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 tests passed, 6 skipped") && text.contains("skipped: 6"), "{text}");
}

#[test]
fn a_closed_pipe_is_a_failure() {
    let folder = stage(&Cargo { clippy: "sleep 0.3; for line in 1 2 3 4 5 6 7 8 9; do echo $line; done", ..GOOD });
    let mut child = command(folder.path(), &STEPS).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().code() != Some(0));
}

#[test]
fn an_unknown_step_is_refused_before_anything_runs() {
    let (code, text) = check(&GOOD, &["fmt", "formt"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("'formt'"), "{text}");
}
