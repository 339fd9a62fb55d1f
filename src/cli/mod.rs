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
#[cfg(feature = "desk")]
mod augment;
mod bench;
#[cfg(feature = "desk")]
mod bundle;
mod class;
mod connect;
#[cfg(feature = "desk")]
mod data;
#[cfg(feature = "desk")]
mod demo;
#[cfg(feature = "desk")]
mod deploy;
mod device;
mod embed;
#[cfg(feature = "desk")]
mod encoders;
#[cfg(feature = "desk")]
mod eval;
#[cfg(feature = "desk")]
mod export;
#[cfg(feature = "desk")]
mod export_head;
mod forget;
mod images;
mod inspect;
mod isolation;
#[cfg(feature = "desk")]
mod keygen;
mod learn;
mod merge;
#[cfg(feature = "desk")]
mod models;
mod overwrite;
#[cfg(all(test, feature = "desk"))]
mod old_options;
mod predict;
mod preprocessing;
#[cfg(feature = "desk")]
mod pretrain;
#[cfg(feature = "desk")]
mod reproduce;
mod progress;
mod reset;
mod samples;
mod self_test;
mod status;
mod trust;
mod update;
mod verify;
mod why;

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
    /// The main job on embedded phantoms: pretrain, export, learn, predict, forget; under a minute
    #[cfg(feature = "desk")]
    Demo(demo::Args),
    /// What is in a data set: images, sizes, classes, duplicates, leaks between splits
    #[cfg(feature = "desk")]
    Data(data::Args),
    /// A picture of what a policy of augmentations does to an image
    #[cfg(feature = "desk")]
    Augment(augment::Args),
    /// The encoder presets and what they cost: multiply-accumulates, parameters, memory
    #[cfg(feature = "desk")]
    Encoders(encoders::Args),
    /// The encoders that come with the program, to start from, and their cards
    #[cfg(feature = "desk")]
    Models(models::Args),
    /// Train an encoder from images, with or without labels
    #[cfg(feature = "desk")]
    Pretrain(Box<pretrain::Args>),
    /// How good an encoder's features are: k-NN, linear probe, few-shot episodes
    #[cfg(feature = "desk")]
    Eval(eval::Args),
    /// Re-create a lesson of the field, from seed to picture and table
    #[cfg(feature = "desk")]
    Reproduce(reproduce::Args),
    /// Write a trained encoder as ONNX, f32 and f16, with a parity report
    #[cfg(feature = "desk")]
    Export(export::Args),
    /// Write what a device was taught as one ONNX classifier that runs anywhere
    #[cfg(feature = "desk")]
    ExportHead(export_head::Args),
    /// Make a pair of keys to sign bundles with
    #[cfg(feature = "desk")]
    Keygen(keygen::Args),
    /// Write the signed file that devices take: encoder, preprocessing, golden images
    #[cfg(feature = "desk")]
    Bundle(Box<bundle::Args>),
    /// Whether a bundle is the one that was signed, and its encoder still the same on this machine
    Verify(verify::Args),
    /// What a bundle is, and whether its signature can be believed
    Inspect(inspect::Args),
    /// Bring a device's program and a bundle to another machine over SSH, and prove them there
    #[cfg(feature = "desk")]
    Deploy(Box<deploy::Args>),
    /// Be a device that others reach over a socket or a serial line
    Device(device::Args),
    /// The features of images, as a file of NumPy
    Embed(embed::Args),
    /// Teach a device a class from a few images
    Learn(learn::Args),
    /// Make a device forget a sample or a class, exactly
    Forget(forget::Args),
    /// Have a device classify images
    Predict(predict::Args),
    /// The samples that a device's decision rests on, and where they came from
    Why(why::Args),
    /// How a device is and what it knows: classes, samples, wear
    Status(status::Args),
    /// Bring what one device knows to another
    Merge(merge::Args),
    /// Add, rename and remove classes of a device
    Class(class::Args),
    /// Have a device test itself
    SelfTest(self_test::Args),
    /// Send a device a new bundle
    Update(update::Args),
    /// Make a device forget everything
    Reset(reset::Args),
    /// Latency, rate and memory of training, encoder or head
    Bench(bench::Args),
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
    #[cfg(not(feature = "desk"))]
    let _ = seed_given;
    let result = Isa::from_env().map_err(anyhow::Error::from).and_then(|_| match command {
        #[cfg(feature = "desk")]
        Command::Demo(args) => demo::run(args),
        #[cfg(feature = "desk")]
        Command::Data(args) => data::run(args),
        #[cfg(feature = "desk")]
        Command::Augment(args) => augment::run(args),
        #[cfg(feature = "desk")]
        Command::Encoders(args) => encoders::run(args),
        #[cfg(feature = "desk")]
        Command::Models(args) => models::run(args),
        #[cfg(feature = "desk")]
        Command::Pretrain(args) => pretrain::run(*args, seed_given),
        #[cfg(feature = "desk")]
        Command::Eval(args) => eval::run(args),
        #[cfg(feature = "desk")]
        Command::Reproduce(args) => reproduce::run(args),
        #[cfg(feature = "desk")]
        Command::Export(args) => export::run(args),
        #[cfg(feature = "desk")]
        Command::ExportHead(args) => export_head::run(args),
        #[cfg(feature = "desk")]
        Command::Keygen(args) => keygen::run(args),
        #[cfg(feature = "desk")]
        Command::Bundle(args) => bundle::run(*args),
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => inspect::run(args),
        #[cfg(feature = "desk")]
        Command::Deploy(args) => deploy::run(*args),
        Command::Device(args) => device::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Learn(args) => learn::run(args),
        Command::Forget(args) => forget::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Why(args) => why::run(args),
        Command::Status(args) => status::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Class(args) => class::run(args),
        Command::SelfTest(args) => self_test::run(args),
        Command::Update(args) => update::run(args),
        Command::Reset(args) => reset::run(args),
        Command::Bench(args) => bench::run(args),
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
