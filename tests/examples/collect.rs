//! Finds the examples: commands in the help of the program and in the documents of the repository.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The words of a command line after `macula`.
#[derive(Clone, Debug)]
pub struct Example {
    pub words: Vec<String>,
}

impl Example {
    /// `None` if the line runs another program.
    fn of(line: &str) -> Option<Self> {
        let line = line.replace("cargo run --release -- ", "macula ");
        // "./build-device aarch64 && macula deploy …": the part that runs macula.
        let line = line.split(" && ").find(|part| part.trim().starts_with("macula "))?;
        let words = words(line.trim());
        Some(Self { words: words.into_iter().skip(1).collect() })
    }
}

/// Splits as a shell does. The examples use only single quotes, and ` #` begins a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            '#' if !quoted && word.is_none() => break,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The commands that the program shows without arguments.
pub fn first_commands(program: &Path) -> Vec<Example> {
    let output = Command::new(program).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    text.lines().filter(|line| line.starts_with("  macula ")).filter_map(|line| Example::of(line.trim())).collect()
}

/// Every command by its name, with the examples of its help.
pub fn helps(program: &Path) -> Vec<(String, Vec<Example>)> {
    let mut found = Vec::new();
    let mut waiting = vec![Vec::<String>::new()];
    while let Some(command) = waiting.pop() {
        let output = Command::new(program).args(&command).arg("--help").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // The program lists its commands in groups, a command its subcommands under one heading.
        let lists = match command.is_empty() {
            true => text.split("\nOptions:\n").next(),
            false => text.split("\nCommands:\n").nth(1).map(|rest| rest.split("\n\n").next().unwrap_or("")),
        };
        let names = lists.unwrap_or("").lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names = names.filter_map(|line| line.split_whitespace().next()).filter(|&name| name != "help");
        let before = waiting.len();
        waiting.extend(names.map(|name| [&command[..], &[name.to_owned()]].concat()));
        let is_group = waiting.len() > before;
        let examples = examples_of_help(&text);
        // A command that only groups others needs no example.
        if !(is_group && examples.is_empty()) {
            found.push((command.join(" "), examples));
        }
    }
    found.reverse();
    found
}

/// Lines below "Example:" or "Examples:" up to an empty one. A line that begins no command continues the last one.
fn examples_of_help(text: &str) -> Vec<Example> {
    let mut lines: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("Example:") || line.starts_with("Examples:") {
            inside = true;
        } else if line.trim().is_empty() {
            inside = false;
        } else if inside {
            let line = line.trim();
            match lines.last_mut() {
                Some(last) if !(line.starts_with("macula ") || line.starts_with("./")) => {
                    *last = format!("{} {line}", last.trim_end_matches('\\').trim_end());
                }
                _ => lines.push(line.to_owned()),
            }
        }
    }
    lines.iter().filter_map(|line| Example::of(line)).collect()
}

/// Command lines in the fenced blocks of README.md and docs/.
pub fn documents(root: &Path) -> Vec<(String, Vec<Example>)> {
    let mut files = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    let examples = |file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        let blocks = text.split("\n```").collect::<Vec<_>>();
        let inside = blocks.iter().skip(1).step_by(2).map(|block| block.replace("\\\n", " "));
        let lines = inside.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
        lines.filter_map(|line| Example::of(line.trim())).collect()
    };
    files.iter().map(|file| (file.strip_prefix(root).unwrap().display().to_string(), examples(file))).collect()
}
