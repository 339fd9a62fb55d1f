//! The command line: parse, run, exit code. One command a file.
//!
//! Exit codes: 0 done, 2 bad usage or input, 3 a check failed (parity, signature, health),
//! 4 device or store fault, 130 stopped by Ctrl-C (resumable).
// Printing is what this module is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fmt;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::device::DeviceError;
use crate::link::LinkError;
use crate::nn::kernel::Isa;

mod augment;
mod bench;
mod bundle;
mod class;
mod connect;
mod data;
mod demo;
mod device;
mod encoders;
mod eval;
mod export;
mod export_head;
mod forget;
mod inspect;
mod keygen;
mod learn;
mod merge;
mod predict;
mod pretrain;
mod reset;
mod samples;
mod self_test;
mod status;
mod trust;
mod update;
mod verify;
mod why;

/// Teaches small eyes at the edge: pretrain without labels, export, teach a head from a handful of examples.
#[derive(Parser)]
#[command(name = "macula", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The main job on embedded phantoms: pretrain, export, learn, predict, forget; under a minute
    Demo(demo::Args),
    /// What is in a data set: images, sizes, classes, duplicates, leaks between splits
    Data(data::Args),
    /// A picture of what a policy of augmentations does to an image
    Augment(augment::Args),
    /// The encoder presets and what they cost: multiply-accumulates, parameters, memory
    Encoders(encoders::Args),
    /// Train an encoder from images, with or without labels
    Pretrain(Box<pretrain::Args>),
    /// How good an encoder's features are: k-NN, linear probe, few-shot episodes
    Eval(eval::Args),
    /// Write a trained encoder as ONNX, f32 and f16, with a parity report
    Export(export::Args),
    /// Write what a device was taught as one ONNX classifier that runs anywhere
    ExportHead(export_head::Args),
    /// Make a pair of keys to sign bundles with
    Keygen(keygen::Args),
    /// Write the signed file that devices take: encoder, preprocessing, golden images
    Bundle(Box<bundle::Args>),
    /// Whether a bundle is the one that was signed, and its encoder still the same on this machine
    Verify(verify::Args),
    /// What a bundle is, and whether its signature can be believed
    Inspect(inspect::Args),
    /// Be a device that others reach over a socket or a serial line
    Device(device::Args),
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
    println!("{}", serde_json::to_string(value)?);
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
    let matches = Cli::command().get_matches();
    let command = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command;
    let seed_from = matches.subcommand_matches("pretrain").and_then(|own| own.value_source("seed"));
    (command, seed_from == Some(ValueSource::CommandLine))
}

/// Parses the arguments, runs the command, and turns an error into one line and an exit code.
pub fn main() -> ExitCode {
    let (command, seed_given) = parse();
    let result = Isa::asked().map_err(anyhow::Error::from).and_then(|_| match command {
        Command::Demo(args) => demo::run(args),
        Command::Data(args) => data::run(args),
        Command::Augment(args) => augment::run(args),
        Command::Encoders(args) => encoders::run(args),
        Command::Pretrain(args) => pretrain::run(*args, seed_given),
        Command::Eval(args) => eval::run(args),
        Command::Export(args) => export::run(args),
        Command::ExportHead(args) => export_head::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Bundle(args) => bundle::run(*args),
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Device(args) => device::run(args),
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
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("macula: {error:#}");
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
