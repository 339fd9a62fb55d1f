//! The command line: parse, run, exit code. One command a file.
//!
//! Exit codes: 0 done, 2 bad usage or input, 3 a check failed (parity, signature, health),
//! 4 device or store fault, 130 stopped by Ctrl-C (resumable), 141 nobody reads what is printed.
use std::fmt;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::device::DeviceError;
use crate::kernel::Isa;
use crate::link::LinkError;
use crate::report::text::shown;

// First: its macros take the place of the standard library's in the modules below.
#[macro_use]
mod output;

mod atomic;
mod connect;
mod device;
#[cfg(feature = "host")]
mod host;
mod images;
mod isolation;
mod overwrite;
mod preprocessing;
mod progress;
mod samples;
mod trust;

const EXIT_CODES: &str = "Exit codes: 0 done, 2 bad usage or input, 3 a check failed (parity, signature, health), \
    4 device or store fault, 130 stopped by Ctrl-C (a run can be resumed), 141 nobody reads what is printed.";

/// Teaches small eyes at the edge: pretrain without labels, export, teach a head from a handful of examples.
#[derive(Parser)]
#[command(name = "macula", version, about, max_term_width = 110, after_help = EXIT_CODES)]
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

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Print one JSON object for machines instead of text
    #[arg(long)]
    pub json: bool,
    /// No progress bar, no remarks
    #[arg(long, short)]
    pub quiet: bool,
    /// Seeds everything random: the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// A check did not pass: exit code 3.
#[derive(Debug)]
pub struct CheckFailed(pub String);

/// The device or its store is at fault: exit code 4.
#[derive(Debug)]
pub struct DeviceFault(pub String);

/// Ctrl-C ended the work early and what there is was saved: exit code 130, as shells have it.
#[derive(Debug)]
pub struct Interrupted(pub String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Interrupted {}

impl fmt::Display for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CheckFailed {}
impl std::error::Error for DeviceFault {}

/// Prints `value` as one line of JSON to standard output.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    output::raw(&(serde_json::to_string(value)? + "\n"));
    Ok(())
}

fn is_check(error: &anyhow::Error) -> bool {
    error.is::<CheckFailed>() || error.downcast_ref::<DeviceError>().is_some_and(DeviceError::is_check)
}

/// Whether a device, its store or the line to it is at fault.
fn is_device_fault(error: &anyhow::Error) -> bool {
    error.is::<DeviceFault>()
        || error.downcast_ref::<LinkError>().is_some_and(LinkError::is_device_fault)
        || error.downcast_ref::<DeviceError>().is_some_and(DeviceError::is_device_fault)
}

/// The command, and whether `pretrain` was given a seed or has the default. Bad usage ends the program.
fn parse() -> (Command, bool) {
    let matches = Cli::command().try_get_matches().unwrap_or_else(|error| refuse(&error));
    let command = Cli::from_arg_matches(&matches).unwrap_or_else(|error| refuse(&error)).command;
    let seed_from = matches.subcommand_matches("pretrain").and_then(|own| own.value_source("seed"));
    (command, seed_from == Some(ValueSource::CommandLine))
}

/// Prints help, or why the arguments are refused, and ends the program. Arguments may be names of files.
fn refuse(error: &clap::Error) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    eprintln!("{}", error.render().to_string().trim_end());
    std::process::exit(error.exit_code());
}

/// An error and its causes as one line. A cause that its effect names already is not named again.
fn told(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    shown(&line).into_owned()
}

/// Parses the arguments, runs the command, and turns an error into one line and an exit code.
pub fn main() -> ExitCode {
    let (command, seed_given) = parse();
    #[cfg(not(feature = "host"))]
    let _ = seed_given;
    let result = Isa::from_env().map_err(anyhow::Error::from).and_then(|_| match command {
        #[cfg(feature = "host")]
        Command::Host(command) => host::run(*command, seed_given),
        Command::Device(command) => device::run(*command),
        Command::EncodeWorker => isolation::run_worker(),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("macula: {}", told(&error));
            let code = if is_check(&error) {
                3
            } else if is_device_fault(&error) {
                4
            } else if error.is::<Interrupted>() {
                130
            } else {
                2
            };
            ExitCode::from(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::told;

    #[test]
    fn no_cause_is_named_twice_and_nothing_moves_the_cursor() {
        let inner = || std::io::Error::other("disk\u{1b}[2J on fire");
        let error = anyhow::Error::new(inner()).context("cannot read a\nb");
        assert_eq!(told(&error), "cannot read a\\nb: disk\\u{1b}[2J on fire");
        let repeats: anyhow::Result<()> = Err(inner()).with_context(|| format!("cannot read a: {}", inner()));
        assert_eq!(told(&repeats.unwrap_err()), "cannot read a: disk\\u{1b}[2J on fire");
    }
}
