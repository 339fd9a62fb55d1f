//! Commands of a document with the output that it shows: blocks of the language `console`.
//!
//! ```text
//! $ macula data chest-xrays
//! chest-xrays: 480 images, 2 classes
//! …
//! ```
//!
//! `…` inside a line stands for any text: times, keys, what depends on the machine. A line `…` stands for any lines.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Begins a line of the program's errors.
const ERROR: &str = "macula: ";

/// A command and what the document shows of its output.
#[derive(Clone, Debug)]
pub struct Session {
    /// As a shell takes it.
    pub command: String,
    shown: Vec<String>,
    file: PathBuf,
    /// The lines of the file that hold the output.
    lines: Range<usize>,
}

impl Session {
    /// The sessions of a block whose first line is line `first` of the file, from 0.
    pub fn of_block(file: &Path, first: usize, block: &[String]) -> Vec<Self> {
        let mut sessions: Vec<Self> = Vec::new();
        let mut continued = false;
        for (number, line) in block.iter().enumerate() {
            let end = first + number + 1;
            let (text, goes_on) = line.strip_suffix('\\').map_or((line.as_str(), false), |text| (text, true));
            match sessions.last_mut() {
                Some(session) if continued => {
                    session.command = format!("{} {}", session.command.trim_end(), text.trim());
                    session.lines = end..end;
                    continued = goes_on;
                }
                _ if text.starts_with("$ ") => {
                    let command = text.trim_start_matches("$ ").to_owned();
                    sessions.push(Self { command, shown: Vec::new(), file: file.to_owned(), lines: end..end });
                    continued = goes_on;
                }
                Some(session) => {
                    session.shown.push(line.trim_end().to_owned());
                    session.lines.end = end;
                }
                None => panic!("{}:{end}: a block `console` begins with \"$ \" and a command", file.display()),
            }
        }
        sessions
    }

    /// Whether the document shows that the command fails.
    pub fn shows_an_error(&self) -> bool {
        self.shown.iter().any(|line| line.starts_with(ERROR))
    }

    /// Whether the output is what the document shows.
    ///
    /// # Errors
    /// Both, if they differ.
    pub fn compare(&self, found: &[String]) -> Result<(), String> {
        match is_shown(&self.shown, found) {
            true => Ok(()),
            false => Err(format!(
                "{}:{}: the output differs (MACULA_WRITE=1 writes it)\n--- shown\n{}\n--- found\n{}",
                self.file.display(),
                self.lines.start,
                self.shown.join("\n"),
                found.join("\n")
            )),
        }
    }

    /// The output as the document shall show it: lines that match one with `…` are kept, and so is how many lines stand
    /// before and after a line `…`.
    fn renewed(&self, found: &[String]) -> Vec<String> {
        if is_shown(&self.shown, found) {
            return self.shown.clone();
        }
        let marked = |line: &String| {
            let old = self.shown.iter().find(|old| old.contains('…') && *old != "…" && is_shown_line(old, line));
            old.unwrap_or(line).clone()
        };
        let is_gap = |line: &String| line == "…";
        let gap = self.shown.iter().position(is_gap).zip(self.shown.iter().rev().position(is_gap));
        match gap {
            Some((head, tail)) if head + tail <= found.len() => {
                let (before, after) =
                    (found[..head].iter().map(marked), found[found.len() - tail..].iter().map(marked));
                before.chain(["…".to_owned()]).chain(after).collect()
            }
            _ => found.iter().map(marked).collect(),
        }
    }
}

/// Lines of an output as they are compared.
pub fn lines_of(output: &str) -> Vec<String> {
    output.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Whether `found` is what `shown` says.
fn is_shown(shown: &[String], found: &[String]) -> bool {
    match shown.split_first() {
        None => found.is_empty(),
        Some((line, rest)) if line == "…" => (0..=found.len()).any(|skipped| is_shown(rest, &found[skipped..])),
        Some((line, rest)) => {
            found.split_first().is_some_and(|(next, others)| is_shown_line(line, next) && is_shown(rest, others))
        }
    }
}

fn is_shown_line(shown: &str, found: &str) -> bool {
    let (first, others) = shown.split_once('…').map_or((shown, None), |(first, others)| (first, Some(others)));
    let Some(mut rest) = found.strip_prefix(first) else { return false };
    let Some(others) = others else { return rest.is_empty() };
    let mut parts: Vec<&str> = others.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Writes the outputs into the documents.
pub fn write(outputs: &[(Session, Vec<String>)]) {
    let files: BTreeSet<&PathBuf> = outputs.iter().map(|(session, _)| &session.file).collect();
    for file in files {
        let mut lines: Vec<String> = fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect();
        let mut own: Vec<_> = outputs.iter().filter(|(session, _)| session.file == *file).collect();
        // From the end, so that the numbers of earlier lines stay.
        own.sort_by_key(|(session, _)| Reverse(session.lines.start));
        for (session, found) in own {
            lines.splice(session.lines.clone(), session.renewed(found));
        }
        fs::write(file, lines.join("\n") + "\n").unwrap();
    }
}

#[test]
fn an_ellipsis_stands_for_text_and_for_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let is = |shown: &str, found: &str| is_shown(&lines(shown), &lines(found));
    assert!(
        is("a\nb", "a\nb") && is("a … c", "a b c") && is("…", "") && is("a\n…\nd", "a\nb\nc\nd") && is("…c", "abcc")
    );
    assert!(
        !is("a\nb", "a")
            && !is("a", "a\nb")
            && !is("a … c", "a b d")
            && !is("a\n…\nd", "a\nb\nc")
            && !is("ab…ba", "aba")
    );

    let block = lines("$ one \\\n  two\nold …\n…\nlast\n$ three");
    let sessions = Session::of_block(Path::new("page.md"), 10, &block);
    assert_eq!(sessions[0].command, "one two");
    assert_eq!((sessions[0].lines.clone(), sessions[1].lines.clone()), (12..15, 16..16));
    assert_eq!(sessions[0].renewed(&lines("old 7\na\nb\nnew")), lines("old …\n…\nnew"));
    assert!(sessions[0].compare(&lines("old 7\na\nlast")).is_ok() && sessions[1].compare(&lines("more")).is_err());
}
