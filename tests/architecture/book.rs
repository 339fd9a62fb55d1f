//! The documents: every link leads somewhere, and `docs/` is a book of its own (`docs/SUMMARY.md`, `book.toml`).

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::module_graph::Sources;

/// The pages of the book.
const BOOK: &str = "docs/";
const SUMMARY: &str = "docs/SUMMARY.md";

/// Where paths in code font begin that must exist.
const ROOMS: [&str; 13] = [
    "benches",
    "docs",
    "edge",
    "engine",
    "examples",
    "firmware-sim",
    "fuzz",
    "models",
    "oracle",
    "packaging",
    "src",
    "tests",
    "tools",
];

/// What is wrong with the documents, a line for each fault.
pub fn faults(root: &Path, texts: &Sources) -> Vec<String> {
    let documents: Vec<(&str, &str)> = texts
        .iter()
        .filter(|(path, _)| path.ends_with(".md"))
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let anchors: HashMap<&str, BTreeSet<String>> =
        documents.iter().map(|&(path, text)| (path, anchors(text))).collect();
    let mut faults = Vec::new();
    for &(path, text) in &documents {
        let prose = prose(text);
        for link in links(&prose) {
            let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { path.to_owned() } else { joined(path, file) };
            if !root.join(&target).exists() {
                faults.push(format!("{path}: there is no {link}"));
            } else if path.starts_with(BOOK) && !target.starts_with(BOOK) {
                faults.push(format!("{path}: {link} is outside of the book; name the file as code"));
            } else if let (Some(anchor), Some(known)) = (anchor, anchors.get(target.as_str()))
                && !known.contains(anchor)
            {
                faults.push(format!("{path}: {target} has no heading #{anchor}"));
            }
        }
        // Worked examples name files that the reader writes.
        if path.starts_with(BOOK) && !path.starts_with("docs/adding-") {
            let missing = named_files(text).filter(|file| !root.join(file).exists());
            faults.extend(missing.map(|file| format!("{path}: there is no {file}")));
        }
    }

    let summary = prose(&texts[SUMMARY]);
    let mut listed = BTreeSet::new();
    for link in links(&summary) {
        if !listed.insert(joined(SUMMARY, link)) {
            faults.push(format!("{SUMMARY} lists {link} twice"));
        }
    }
    for &(path, _) in documents.iter().filter(|(path, _)| path.starts_with(BOOK) && *path != SUMMARY) {
        if !listed.contains(path) {
            faults.push(format!("{SUMMARY} does not list {path}"));
        }
    }
    faults
}

/// The text without code: blocks and spans are empty.
fn prose(text: &str) -> String {
    let mut in_block = false;
    let mut prose = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        if !in_block && !is_fence {
            // A link may have code as its text, not as its target.
            prose.extend(line.split('`').step_by(2));
        }
        prose.push('\n');
    }
    prose
}

/// Targets of links and pictures, except addresses.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// `link` of the document `path`, from the root of the repository.
fn joined(path: &str, link: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Names of the headings, as mdBook and forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        let Some(title) = line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#') && !in_block)
        else {
            continue;
        };
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let name: String = kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let again = (1..).map(|n| format!("{name}-{n}")).find(|again| !anchors.contains(again));
        let name = if anchors.contains(&name) { again.unwrap_or_default() } else { name };
        anchors.insert(name);
    }
    anchors
}

/// Files of the repository in code font, except patterns and names that stand for others.
fn named_files(text: &str) -> impl Iterator<Item = &str> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(|span| {
        let is_file = span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "/._-".contains(c));
        is_file && span.split_once('/').is_some_and(|(room, _)| ROOMS.contains(&room))
    })
}

#[test]
fn every_kind_of_fault_is_found() {
    let texts: Sources = [
        ("README.md", "[a](docs/a.md) [gone](docs/gone.md)\n```\n[code](nowhere)\n```\n"),
        ("docs/SUMMARY.md", "- [A](a.md)\n- [A again](a.md)\n"),
        (
            "docs/a.md",
            "# The A-page: `x` & y\n[self](#the-a-page-x--y) [no](#missing) [out](../README.md) `src/absent.rs`\n",
        ),
        ("docs/b.md", "not listed, `src/NAME.rs` stands for others\n"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("docs")).unwrap();
    texts.iter().for_each(|(path, text)| std::fs::write(folder.path().join(path), text).unwrap());
    let expected = [
        "README.md: there is no docs/gone.md",
        "docs/a.md: docs/a.md has no heading #missing",
        "docs/a.md: ../README.md is outside of the book; name the file as code",
        "docs/a.md: there is no src/absent.rs",
        "docs/SUMMARY.md lists a.md twice",
        "docs/SUMMARY.md does not list docs/b.md",
    ];
    assert_eq!(faults(folder.path(), &texts), expected);
}
