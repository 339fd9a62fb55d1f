//! Option spellings of the previous version, kept as hidden aliases for one version.

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;

/// Command, old spelling, new spelling, and a value.
const RENAMED: [(&str, &str, &str, &str); 33] = [
    ("bundle", "onnx", "encoder", "net.onnx"),
    ("bundle", "key", "signing-key", "maker.key"),
    ("bundle", "golden", "golden-count", "8"),
    ("bundle", "classes", "max-classes", "8"),
    ("bundle", "supports", "max-samples", "8"),
    ("verify", "key", "trust", "maker.pub"),
    ("inspect", "key", "trust", "maker.pub"),
    ("deploy", "bundle", "encoder", "nano.macula"),
    ("deploy", "key", "trust", "maker.pub"),
    ("device", "bundle", "encoder", "nano.macula"),
    ("device", "key", "trust", "maker.pub"),
    ("device", "supports", "max-samples", "8"),
    ("embed", "key", "trust", "maker.pub"),
    ("learn", "key", "trust", "maker.pub"),
    ("learn", "supports", "max-samples", "8"),
    ("predict", "key", "trust", "maker.pub"),
    ("update", "key", "trust", "maker.pub"),
    ("eval knn", "key", "trust", "maker.pub"),
    ("eval knn", "image-size", "size", "16"),
    ("eval linear", "image-size", "size", "16"),
    ("eval few-shot", "image-size", "size", "16"),
    ("eval abstention", "image-size", "size", "16"),
    ("eval abstention", "error-rates", "error-rate", "5,10"),
    ("export", "images", "count", "8"),
    ("export", "calibrate", "calibration-count", "8"),
    ("pretrain", "batch", "batch-size", "8"),
    ("pretrain", "limit", "count", "8"),
    ("pretrain", "per-class", "count-per-class", "8"),
    ("pretrain", "lr", "learning-rate", "0.1"),
    ("pretrain", "warmup", "warmup-fraction", "0.1"),
    ("bench train", "batch", "batch-size", "8"),
    ("bench encoder", "batch", "batch-size", "8"),
    ("demo", "picture", "sheet", "sheet.png"),
];

/// The other arguments that the command needs.
fn needed(command: &str, option: &str) -> &'static str {
    match (command, option) {
        ("bundle", "encoder") => "--signing-key maker.key --out net.macula",
        ("bundle", "signing-key") => "shipped --out net.macula",
        ("bundle", _) => "shipped --signing-key maker.key --out net.macula",
        ("verify" | "inspect", _) => "nano.macula",
        ("deploy", "encoder") => "host",
        ("deploy", _) => "host --encoder nano.macula",
        ("device", _) => "--store a.store --listen tcp:localhost:7000",
        ("embed", _) => "--encoder raw-pixels a.png --out a.npy",
        ("learn", _) => "--device a.store --class a a.png",
        ("predict", _) => "--device a.store a.png",
        ("update", _) => "--device a.store nano.macula",
        ("export", _) => "run --out exported",
        ("pretrain", _) => "--data phantoms --method simclr --out run",
        (eval, _) if eval.starts_with("eval") => "--encoder raw-pixels --data phantoms",
        _ => "",
    }
}

#[test]
fn an_old_spelling_is_a_hidden_name_of_the_new_one() {
    for (command, old, new, value) in RENAMED {
        let parsed = |option: &str| {
            let line = format!("macula {command} {} --{option} {value}", needed(command, new));
            let matches = Cli::command().try_get_matches_from(line.split_whitespace());
            matches.unwrap_or_else(|error| panic!("{line}: {error}"))
        };
        assert_eq!(parsed(old), parsed(new), "macula {command} --{old}");
    }
}

#[test]
fn no_help_shows_an_old_spelling() {
    fn options(command: &Command) -> Vec<&Arg> {
        let below = command.get_subcommands().flat_map(options);
        command.get_arguments().chain(below).collect()
    }
    let command = Cli::command();
    let shown: Vec<&str> = options(&command).iter().filter_map(|option| option.get_long()).collect();
    assert!(shown.contains(&"encoder") && shown.contains(&"trust"), "the walk reaches every command: {shown:?}");
    for (_, old, ..) in RENAMED {
        // `bench head` has its own `--classes`.
        assert!(!shown.contains(&old) || old == "classes", "--{old} is shown");
    }
}
