//! `docs/reference/`: the commands and their options, from the definitions that the program parses with.
//!
//! An option that many commands have, with the same help, is described once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use clap::{Arg, Command};

/// A page: name of its file, title, and the commands on it.
struct Page {
    file: &'static str,
    title: &'static str,
    commands: &'static [&'static str],
}

const PAGES: [Page; 7] = [
    Page {
        file: "data.md",
        title: "Commands: data and encoders",
        commands: &["data", "augment", "encoders", "models", "embed"],
    },
    Page {
        file: "training.md",
        title: "Commands: training",
        commands: &["demo", "advise", "pretrain", "report", "sweep", "reproduce"],
    },
    Page { file: "evaluation.md", title: "Commands: evaluation", commands: &["eval"] },
    Page {
        file: "files.md",
        title: "Commands: exports and bundles",
        commands: &["export", "export-head", "keygen", "bundle", "verify", "inspect"],
    },
    Page {
        file: "devices.md",
        title: "Commands: devices",
        commands: &[
            "device",
            "serve",
            "learn",
            "predict",
            "why",
            "forget",
            "class",
            "operating-point",
            "merge",
            "status",
            "self-test",
            "update",
            "reset",
            "deploy",
        ],
    },
    Page { file: "bench.md", title: "Commands: measuring speed", commands: &["bench"] },
    Page { file: "shell.md", title: "Commands: setting up a shell", commands: &["completions", "man"] },
];

/// The page of all commands, and of the options that many of them have.
const COMMON_FILE: &str = "commands.md";
const COMMON_HEADING: &str = "options-of-several-commands";

/// Commands that an option must be in to be described once.
const COMMON_MIN: usize = 5;

const GENERATED: &str = "<!-- Generated from the program: MACULA_WRITE=1 cargo test --test examples reference -->\n";

/// Compares the pages in `folder` with the program, or writes them if MACULA_WRITE is set.
pub fn check(folder: &Path) {
    let pages = pages();
    if std::env::var_os("MACULA_WRITE").is_some() {
        fs::create_dir_all(folder).unwrap();
        pages.iter().for_each(|(file, text)| fs::write(folder.join(file), text).unwrap());
    }
    for (file, text) in &pages {
        let kept = fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert!(
            kept == *text,
            "docs/reference/{file} is out of date: MACULA_WRITE=1 cargo test --test examples reference"
        );
    }
    let kept = fs::read_dir(folder).unwrap().count();
    assert_eq!(kept, pages.len(), "docs/reference has files that no command has");
}

/// Every page with its name.
fn pages() -> Vec<(&'static str, String)> {
    let mut program = macula::cli::command();
    program.build();
    let listed: Vec<&str> = PAGES.iter().flat_map(|page| page.commands).copied().collect();
    for command in shown(&program) {
        let pages = listed.iter().filter(|&&name| name == command.get_name()).count();
        assert_eq!(pages, 1, "macula {} must be on one page of the reference", command.get_name());
    }
    let common = Common::of(&program);
    let mut pages = vec![(COMMON_FILE, common.page(&program))];
    for page in PAGES {
        let mut text = format!("{GENERATED}\n# {}\n", page.title);
        for name in page.commands {
            let command = program.find_subcommand(name).unwrap_or_else(|| panic!("there is no command {name}"));
            write_command(&mut text, command, &common, 2);
        }
        pages.push((page.file, text));
    }
    pages
}

/// The commands that help shows.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// The arguments that help shows.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()))
}

/// The options that many commands have, in the order in which they first occur: heading and description.
struct Common {
    described: Vec<(String, String)>,
}

impl Common {
    fn of(program: &Command) -> Self {
        // Of each name its descriptions, and how many commands have each.
        let mut by_name: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
        let mut order = Vec::new();
        let mut waiting: Vec<&Command> = shown(program).collect();
        waiting.reverse();
        while let Some(command) = waiting.pop() {
            for arg in arguments(command).filter(|arg| !arg.is_positional()) {
                let text = description(arg);
                let same_name = by_name.entry(arg.get_long().unwrap_or_default().to_owned()).or_default();
                match same_name.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, count)) => *count += 1,
                    None => {
                        same_name.push((text.clone(), 1));
                        order.push((arg.get_help_heading().unwrap_or_default().to_owned(), text));
                    }
                }
            }
            waiting.extend(shown(command));
        }
        // One description for a name, so that a page which names the option is clear.
        let most = by_name.values().filter_map(|texts| texts.iter().rev().max_by_key(|(_, count)| *count));
        let kept: BTreeSet<&String> = most.filter(|(_, count)| *count >= COMMON_MIN).map(|(text, _)| text).collect();
        order.retain(|(_, text)| kept.contains(text));
        order.sort_by_key(|(heading, _)| !heading.is_empty());
        Self { described: order }
    }

    fn has(&self, arg: &Arg) -> bool {
        let text = description(arg);
        self.described.iter().any(|(_, described)| *described == text)
    }

    fn page(&self, program: &Command) -> String {
        let mut text = format!("{GENERATED}\n# Commands\n\n| command | what it does |\n|---|---|\n");
        for page in PAGES {
            for name in page.commands {
                let command = program.find_subcommand(name).unwrap_or_else(|| panic!("there is no command {name}"));
                let about = escaped(&command.get_about().map(ToString::to_string).unwrap_or_default());
                let (file, about) = (page.file, about.replace('|', "\\|"));
                writeln!(text, "| [`macula {name}`]({file}#macula-{name}) | {about} |").unwrap();
            }
        }
        text += "\n## Options of several commands\n\n";
        text += "The pages of the commands name these options without repeating what they mean.\n\n";
        let mut current = "";
        for (heading, described) in &self.described {
            if heading != current {
                write!(text, "\n{}:\n\n", heading.trim_end_matches(':')).unwrap();
                current = heading;
            }
            text += described;
        }
        text += "\n## Exit codes and errors\n";
        write_after(&mut text, &program.get_after_help().map(ToString::to_string).unwrap_or_default());
        text
    }
}

/// A command and those below it, headings at `level`.
fn write_command(text: &mut String, command: &Command, common: &Common, level: usize) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    write!(text, "\n{} macula {}\n\n{}\n", "#".repeat(level), name.trim_start_matches("macula "), escaped(&about))
        .unwrap();
    let usage = command.clone().render_usage().to_string();
    write!(text, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: ").trim()).unwrap();

    let mut groups: Vec<(String, String)> = Vec::new();
    let mut elsewhere = Vec::new();
    for arg in arguments(command) {
        if common.has(arg) {
            elsewhere.push(format!("`--{}`", arg.get_long().unwrap_or_default()));
            continue;
        }
        let default = if arg.is_positional() { "Arguments" } else { "Options" };
        let heading = arg.get_help_heading().unwrap_or(default).to_owned();
        match groups.iter_mut().find(|(name, _)| *name == heading) {
            Some((_, described)) => *described += &description(arg),
            None => groups.push((heading, description(arg))),
        }
    }
    groups.sort_by_key(|(heading, _)| match heading.as_str() {
        "Arguments" => 0,
        "Options" => 1,
        _ => 2,
    });
    for (heading, described) in groups {
        write!(text, "\n{}:\n\n{described}", heading.trim_end_matches(':')).unwrap();
    }
    if !elsewhere.is_empty() {
        write!(text, "\nAlso [of several commands]({COMMON_FILE}#{COMMON_HEADING}): {}.\n", elsewhere.join(", "))
            .unwrap();
    }
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        write_after(text, &after.to_string());
    }
    for below in shown(command) {
        write_command(text, below, common, level + 1);
    }
}

/// The end of a help: examples and other indented lines as they are, the rest as prose.
fn write_after(text: &mut String, after: &str) {
    for part in after.trim().split("\n\n") {
        let (title, lines) = match part.split_once('\n') {
            Some((title, lines)) if title.starts_with("Example") => (Some(title), lines),
            _ => (None, part),
        };
        if let Some(title) = title {
            write!(text, "\n{title}\n").unwrap();
        }
        if lines.lines().any(|line| line.starts_with("  ")) {
            let indent = lines.lines().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
            let lines: Vec<&str> = lines.lines().map(|line| &line[indent..]).collect();
            write!(text, "\n```text\n{}\n```\n", lines.join("\n")).unwrap();
        } else {
            write!(text, "\n{}\n", escaped(lines)).unwrap();
        }
    }
}

/// An item of a list: names, help, default, values.
fn description(arg: &Arg) -> String {
    let mut names = arg.to_string();
    if let (Some(short), Some(_)) = (arg.get_short(), arg.get_long()) {
        names = format!("-{short}, {names}");
    }
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut paragraphs: Vec<String> = help.split("\n\n").map(|part| escaped(&part.replace('\n', " "))).collect();
    let takes_value = arg.get_action().takes_values();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if takes_value && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        paragraphs.push(format!("Default: `{}`.", defaults.join(" ")));
    }
    if let Some(variable) = arg.get_env() {
        paragraphs.push(format!("Environment variable: `{}`.", variable.to_string_lossy()));
    }
    let values: Vec<_> = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set()).collect();
    let mut list = String::new();
    if takes_value && !values.is_empty() && !arg.is_hide_possible_values_set() {
        if values.iter().any(|value| value.get_help().is_some()) {
            for value in &values {
                let help = value.get_help().map(|help| format!(": {}", escaped(&help.to_string()))).unwrap_or_default();
                writeln!(list, "  - `{}`{help}", value.get_name()).unwrap();
            }
        } else {
            let names: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
            paragraphs.push(format!("Values: {}.", names.join(", ")));
        }
    }
    format!("- `{names}`\\\n  {}\n{list}", paragraphs.join("\\\n  "))
}

/// Text in which Markdown finds no markup but code.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let mut in_code = false;
    for c in text.chars() {
        in_code ^= c == '`';
        if !in_code && "<>*\\".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
