//! Finds the examples: commands in the help of the program and in the documents of the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::session::Session;

/// The examples of the help of one command, or of one document, in their order.
pub struct Source {
    pub name: String,
    pub steps: Vec<Step>,
}

/// One example.
pub enum Step {
    /// A command, run with stand-ins for what it names.
    Example(Example),
    /// A command that is run as it is, with the output that the document shows.
    Session(Session),
}

impl Source {
    pub fn examples(&self) -> impl Iterator<Item = &Example> {
        self.steps.iter().filter_map(|step| match step {
            Step::Example(example) => Some(example),
            Step::Session(_) => None,
        })
    }

    /// Whether it shows outputs. Its commands then run in a folder that is empty at first.
    pub fn has_sessions(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Session(_)))
    }
}

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
pub fn first_commands(program: &Path) -> Source {
    let output = Command::new(program).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("  macula ")).map(str::trim);
    Source { name: "without arguments".to_owned(), steps: lines.filter_map(Example::of).map(Step::Example).collect() }
}

/// Every command by its name, with the examples of its help.
pub fn helps(program: &Path) -> Vec<Source> {
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
            let steps = examples.into_iter().map(Step::Example).collect();
            found.push(Source { name: command.join(" "), steps });
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

/// Command lines in the fenced blocks of README.md and docs/. The pages of docs/tutorial are one document.
pub fn documents(root: &Path) -> Vec<Source> {
    let mut files = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // The reference repeats the examples of the help. The tutorial has an order of its own.
            if path.is_dir() && !["reference", "tutorial"].iter().any(|&name| path.ends_with(name)) {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    let name = |file: &Path| file.strip_prefix(root).unwrap().display().to_string();
    let single = files.iter().map(|file| Source { name: name(file), steps: steps(file) });
    let tutorial = tutorial(root).iter().flat_map(|file| steps(file)).collect();
    single.chain([Source { name: "docs/tutorial".to_owned(), steps: tutorial }]).collect()
}

/// The pages of the tutorial, as docs/SUMMARY.md orders them.
fn tutorial(root: &Path) -> Vec<PathBuf> {
    let summary = fs::read_to_string(root.join("docs/SUMMARY.md")).unwrap();
    let pages = summary.split("](tutorial/").skip(1).filter_map(|rest| rest.split(')').next());
    let pages: Vec<PathBuf> = pages.map(|page| root.join("docs/tutorial").join(page)).collect();
    assert!(pages.len() > 3, "docs/SUMMARY.md lists the tutorial");
    pages
}

fn steps(file: &Path) -> Vec<Step> {
    let text = fs::read_to_string(file).unwrap();
    let mut steps = Vec::new();
    let mut block: Option<(bool, usize, Vec<String>)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut block, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => block = Some((language == "console", number + 1, Vec::new())),
            (None, None) => {}
            (Some((_, _, lines)), None) => lines.push(line.to_owned()),
            (Some((true, first, lines)), Some(_)) => {
                steps.extend(Session::of_block(file, *first, lines).into_iter().map(Step::Session));
                block = None;
            }
            (Some((false, _, lines)), Some(_)) => {
                let joined = lines.join("\n").replace("\\\n", " ");
                steps.extend(joined.lines().filter_map(|line| Example::of(line.trim())).map(Step::Example));
                block = None;
            }
        }
    }
    assert!(block.is_none(), "{}: a block has no end", file.display());
    steps
}
