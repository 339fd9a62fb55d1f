//! The command line: parses arguments, runs a command, sets the exit code. One command per file.
//!
//! `failure` has the exit codes.
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::failure::{Failure, Kind};
use crate::kernel::Isa;
pub use common::{Common, print_json};

// First, because its macros replace those of the standard library in the modules below.
#[macro_use]
mod output;

mod atomic;
#[cfg(any(feature = "host", feature = "serve"))]
mod byte_size;
mod camera;
mod classes;
mod common;
mod connect;
mod ctrl_c;
mod device;
#[cfg(feature = "dicom")]
mod dicom_args;
mod failure;
#[cfg(feature = "host")]
mod host;
mod images;
mod isolation;
mod local_device;
mod operating_point;
mod overview;
mod overwrite;
mod preprocessing;
mod progress;
mod samples;
mod trust;

/// Pretrain compact vision encoders from unlabelled images, and classify on devices from a few labelled examples.
#[derive(Parser)]
#[command(name = "macula", version, about, max_term_width = 110, after_help = failure::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "host")]
    #[command(flatten)]
    Host(Box<host::Command>),
    #[command(flatten)]
    Device(Box<device::Command>),
    /// Run one ONNX encoder for the program that starts this
    #[command(name = isolation::WORKER_COMMAND, hide = true)]
    EncodeWorker,
}

/// The definition of the command line: every command with its options and help texts.
pub fn command() -> clap::Command {
    overview::grouped(Cli::command())
}

/// The definition of the command line of a device's program, which lacks the commands of the host.
#[cfg(feature = "host")]
fn device_command() -> clap::Command {
    let program = clap::Command::new("macula-device").version(env!("CARGO_PKG_VERSION")).max_term_width(110);
    let program = program.about(Cli::command().get_about().cloned().unwrap_or_default()).after_help(failure::HELP);
    overview::grouped(device::Command::augment_subcommands(program))
}

/// The command, and whether `pretrain` was given `--seed`. Bad usage ends the program.
fn parse() -> (Command, bool) {
    if std::env::args_os().len() == 1 {
        eprintln!("{}", overview::first_commands(&command()));
        std::process::exit(Kind::Usage.exit_code().into());
    }
    // Drawing the groups takes longer than parsing: only for who asks for them.
    let first = std::env::args_os().nth(1);
    let asks_for_help = first.is_some_and(|first| ["help", "--help", "-h"].iter().any(|help| first == *help));
    let program = if asks_for_help { command() } else { Cli::command() };
    let matches = program.try_get_matches().unwrap_or_else(|error| refuse(&error));
    let command = Cli::from_arg_matches(&matches).unwrap_or_else(|error| refuse(&error)).command;
    let seed_from = matches.subcommand_matches("pretrain").and_then(|own| own.value_source("seed"));
    (command, seed_from == Some(ValueSource::CommandLine))
}

/// Prints help or a usage error, and ends the program.
fn refuse(error: &clap::Error) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    let code = Failure::usage(error.render().to_string().trim_end()).print(wants_json());
    std::process::exit(code.into());
}

/// Whether `--json` was given, even if the arguments cannot be parsed.
fn wants_json() -> bool {
    std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

/// Parses the arguments, runs the command, prints an error, and returns the exit code.
pub fn main() -> ExitCode {
    let (command, seed_given) = parse();
    #[cfg(not(feature = "host"))]
    let _ = seed_given;
    let result = Isa::from_env().map_err(anyhow::Error::from).and_then(|_| match command {
        #[cfg(feature = "host")]
        Command::Host(command) => {
            host::run(*command, seed_given, &host::Programs { host: self::command, device: device_command })
        }
        Command::Device(command) => device::run(*command),
        Command::EncodeWorker => isolation::run_worker(),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(Failure::of(&error).print(wants_json())),
    }
}
