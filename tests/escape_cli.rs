//! Untrusted names are escaped in text for people and unchanged in JSON.
#![cfg(unix)]

mod shell;

use std::fs;
use std::path::Path;

use shell::{expect, json, picture};

/// Clears the screen, reverses the writing direction, hides characters, and fakes a line of another file.
const HOSTILE: &str = "a\u{1b}[2J\u{202e}b\u{200b}\r\u{2028}\nc.png: fine";

/// Whether `text` has only visible characters and line feeds.
fn is_plain(text: &str) -> bool {
    let hidden = |c: char| matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.chars().all(|c| c == '\n' || !(c.is_control() || hidden(c)))
}

/// Runs the program, asserts exit code `code`, and that its output is plain and the name's line feed is escaped.
fn plain(code: i32, folder: &Path, arguments: &[&str]) -> String {
    let (out, err) = expect(code, folder, arguments);
    for text in [&out, &err] {
        assert!(is_plain(text) && !text.contains("\nc.png: fine"), "{arguments:?}: {text:?}");
    }
    out + &err
}

#[test]
fn names_of_files_and_classes_are_escaped_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir_all(path.join("set/dark")).unwrap();
    fs::create_dir_all(path.join("set").join(HOSTILE)).unwrap();
    let image = format!("{HOSTILE}.png");
    for (class, name) in [("dark", "dark"), ("bright", HOSTILE)] {
        for number in 0..3 {
            picture(class, number).save(path.join("set").join(name).join(format!("{number}{image}"))).unwrap();
        }
    }
    picture("dark", 9).save(path.join(&image)).unwrap();
    fs::write(path.join("set/dark").join(format!("broken{image}")), "no image").unwrap();
    let text = plain(0, path, &["data", "set"]);
    assert!(text.contains("\\u{1b}[2J\\u{202e}b\\u{200b}\\r\\u{2028}\\nc.png"), "{text}");
    let found = json(&expect(0, path, &["data", "set", "--json"]).0);
    let classes: Vec<&str> =
        found["classes"].as_array().unwrap().iter().map(|class| class["name"].as_str().unwrap()).collect();
    assert!(classes.contains(&HOSTILE), "JSON has the name unchanged: {classes:?}");

    fn with<'a>(command: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
        [&[command, "--device", "a.store"], arguments].concat()
    }
    plain(0, path, &with("learn", &["--encoder", "raw-pixels", "--class", "dark", &image]));
    for command in ["learn", "predict", "why"] {
        let class: &[&str] = if command == "learn" { &["--class", "dark"] } else { &[] };
        let text = plain(0, path, &with(command, &[class, &[image.as_str()]].concat()));
        assert!(text.contains("\\u{202e}"), "{command}: {text}");
    }
    plain(0, path, &with("status", &["--samples"]));
    // A deceptive name is refused as a class; one in another script is accepted.
    for name in ["a\u{202e}b", "a\u{2028}b", "a\u{200f}b", "a\u{2066}b", "a\u{1b}b", "a\nb"] {
        plain(2, path, &with("learn", &["--class", name, &image]));
        plain(2, path, &["class", "add", "--device", "a.store", name]);
        plain(2, path, &["class", "rename", "--device", "a.store", "dark", name]);
    }
    plain(0, path, &["class", "add", "--device", "a.store", "結節", "عقدة"]);
    // Errors, including those of clap, are escaped too.
    plain(2, path, &with("predict", &[&format!("missing{image}")]));
    plain(2, path, &["data", &format!("missing{image}")]);
    let output = shell::output(path, &["learn", "--device", "a.store", &format!("--{HOSTILE}")]);
    assert!(output.status.code() == Some(2) && !output.stderr.contains(&0x1b), "{output:?}");
}

#[test]
fn a_csv_label_is_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    picture("dark", 0).save(path.join("0.png")).unwrap();
    fs::write(path.join("m.csv"), "path,label\n0.png,\"x\u{1b}]0;owned\u{7}\u{202e}\"\n").unwrap();
    assert!(plain(0, path, &["data", "m.csv"]).contains("x\\u{1b}]0;owned\\u{7}\\u{202e}"));
}

#[test]
fn a_count_of_one_is_singular() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    picture("dark", 0).save(path.join("0.png")).unwrap();
    let said = [
        plain(0, path, &["learn", "--device", "a.store", "--encoder", "raw-pixels", "--class", "dark", "0.png"]),
        plain(0, path, &["status", "--device", "a.store"]),
        plain(0, path, &["embed", "--encoder", "raw-pixels", "0.png", "--out", "a.npy"]),
        plain(0, path, &["forget", "--device", "a.store", "--sample", "0.png"]),
    ];
    for text in said {
        let words: Vec<&str> = text.split([' ', '\n', ',']).collect();
        for pair in words.windows(2).filter(|pair| pair[0] == "1") {
            assert!(!pair[1].ends_with('s') || pair[1] == "class", "'{} {}' in {text}", pair[0], pair[1]);
        }
    }
}
