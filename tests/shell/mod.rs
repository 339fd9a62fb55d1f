//! Runs the program as a user does.
#![allow(dead_code, reason = "not every test that runs the program needs all of it")]

use std::path::Path;
use std::process::{Command, Output};

use image::{GrayImage, Luma};

/// Eight pictures in a folder: four `bright` on the left and four `dark`, each a little different.
pub fn draw_pictures(folder: &Path) {
    for (class, number) in ["bright", "dark"].into_iter().flat_map(|class| (0..4).map(move |number| (class, number))) {
        picture(class, number).save(folder.join(format!("{class}-{number}.png"))).unwrap();
    }
}

/// A picture that is `bright` on the left, or `dark`, each number a little different.
pub fn picture(class: &str, number: u32) -> GrayImage {
    let lit = |x: u32| (x < 20) == (class == "bright");
    let value = |x: u32, y: u32| if lit(x) { 200 + (x * y + number) % 40 } else { 20 + (x + y * number) % 40 };
    GrayImage::from_fn(40, 30, |x, y| Luma([value(x, y) as u8]))
}

/// Runs the program.
pub fn output(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_macula")).current_dir(folder).args(arguments).output().unwrap()
}

/// Runs the program, asserts exit code `code`, and returns standard output and error.
pub fn expect(code: i32, folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = output(folder, arguments);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
    if code != 0 {
        assert_eq!(err.trim_end().lines().count(), 1, "an error is one line: {err}");
    }
    (out, err)
}

/// Runs with `--json`, asserts an error of this exit code and kind whose message names all `parts`, and returns it.
pub fn fails(code: i32, kind: &str, folder: &Path, arguments: &[&str], parts: &[&str]) -> serde_json::Value {
    let more: &[&str] = if arguments.contains(&"--json") { &[] } else { &["--json"] };
    let (_, err) = expect(code, folder, &[arguments, more].concat());
    let error = json(&err)["error"].clone();
    assert_eq!((&error["kind"], &error["exit_code"]), (&kind.into(), &code.into()), "{arguments:?}: {err}");
    let message = error["message"].as_str().unwrap();
    parts.iter().for_each(|part| assert!(message.contains(part), "{arguments:?}: no {part:?} in {message}"));
    error
}

/// Runs the program and asserts a usage error.
pub fn expect_usage(folder: &Path, arguments: &[&str]) {
    fails(2, "usage", folder, arguments, &[]);
}

/// Parses what `--json` printed.
pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
