//! How the program shows its commands: in groups in `macula --help`, and the first ones to try without arguments.

use clap::Command;

/// Headings of `macula --help` and their commands. A device's program lacks some of them.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Look at images", &["data", "augment"]),
    (
        "Train and evaluate encoders",
        &["advise", "models", "encoders", "pretrain", "report", "eval", "embed", "sweep", "reproduce", "demo"],
    ),
    ("Export and sign", &["export", "export-head", "keygen", "bundle", "verify", "inspect"]),
    (
        "Teach and ask a device",
        &["learn", "predict", "why", "forget", "class", "operating-point", "merge", "status", "reset"],
    ),
    ("Run devices", &["serve", "device", "update", "self-test", "deploy", "bench"]),
    ("Set up a shell", &["completions", "man"]),
];

/// The commands that a beginner needs, each with an example that runs as it stands or with own images.
const FIRST: [(&str, &str); 5] = [
    ("demo", "macula demo"),
    ("serve", "macula serve --device ward.store --encoder grey-64"),
    ("learn", "macula learn --device ward.store --encoder grey-64 --class nodule a.png b.png"),
    ("predict", "macula predict --device ward.store unknown.png"),
    ("pretrain", "macula pretrain --data SCANS --method simclr --init grey-64 --out RUN"),
];

/// The subcommands of `command` that are named in `names`, as clap prints them.
fn listed(command: &Command, names: &[&str]) -> String {
    let found = names.iter().filter_map(|name| command.find_subcommand(name)).cloned();
    let mut part = Command::new("part").disable_help_subcommand(true).max_term_width(110);
    part = part.subcommands(found).help_template("{subcommands}");
    part.render_help().to_string().trim_end().to_owned()
}

/// `command` with a help that lists its subcommands in groups.
pub fn grouped(command: Command) -> Command {
    let mut template = "{about}\n\n{usage-heading} {usage}\n".to_owned();
    for (heading, names) in GROUPS {
        let list = listed(&command, names);
        if !list.is_empty() {
            template += &format!("\n{heading}:\n{list}\n");
        }
    }
    template += "\nOptions:\n{options}{after-help}";
    command.help_template(template)
}

/// What the program prints without arguments.
pub fn first_commands(command: &Command) -> String {
    let mut text = match command.get_about() {
        Some(about) => format!("{about}\n"),
        None => String::new(),
    };
    for (name, example) in FIRST {
        if let Some(about) = command.find_subcommand(name).and_then(Command::get_about) {
            text += &format!("\n{about}:\n  {example}\n");
        }
    }
    text + "\n`macula --help` lists all commands, `macula COMMAND --help` the options of one."
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_is_in_one_group() {
        let command = Cli::command();
        for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
            let name = subcommand.get_name();
            let count = GROUPS.iter().flat_map(|(_, names)| *names).filter(|listed| **listed == name).count();
            assert_eq!(count, 1, "{name}");
        }
        let help = grouped(command).render_help().to_string();
        assert!(help.contains("\n  operating-point  ") && help.contains("\nOptions:\n"), "{help}");
    }

    #[test]
    fn the_first_commands_are_accepted() {
        let command = Cli::command();
        let text = first_commands(&command);
        for (name, example) in FIRST {
            if command.find_subcommand(name).is_some() {
                assert!(text.contains(example), "{text}");
                command.clone().try_get_matches_from(example.split_whitespace()).unwrap();
            }
        }
    }
}
