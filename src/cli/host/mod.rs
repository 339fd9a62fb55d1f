//! Commands of the host only: data, pretraining, evaluation, export, bundles, deployment. One command per file.

mod advise;
mod augment;
pub mod bench;
mod bundle;
mod data;
mod demo;
mod deploy;
mod encoders;
mod eval;
mod export;
mod export_head;
mod keygen;
mod models;
#[cfg(test)]
mod old_options;
mod pretrain;
mod readout;
mod report;
mod reproduce;
mod shell;
mod sweep;

use crate::ranks::launched;
pub use shell::Programs;

/// Refuses to run as one of several processes that know nothing of each other: all would write the same files.
fn refuse_copies(processes: Option<usize>) -> anyhow::Result<()> {
    let Some(processes) = processes.filter(|&processes| processes > 1) else { return Ok(()) };
    let reason = match cfg!(feature = "mpi") {
        true => "only `macula pretrain` divides its work among them",
        false => "this program is built without MPI; build it with --features mpi (docs/several-machines.md)",
    };
    anyhow::bail!("{processes} processes were started by mpirun, and {reason}")
}

/// The commands of this folder.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Run the whole workflow on generated images: pretrain, evaluate, learn, predict, forget (under a minute)
    Demo(demo::Args),
    /// Check a dataset: images, sizes, classes, duplicates, leaks between splits
    Data(data::Args),
    /// Advise which shipped encoder to start from, and whether training on own images is worth it
    Advise(advise::Args),
    /// Draw augmented views of an image
    Augment(augment::Args),
    /// List encoder presets and their cost: multiply-accumulates, parameters, memory
    Encoders(encoders::Args),
    /// List the pretrained encoders shipped with the program, or print a model card
    Models(models::Args),
    /// Train an encoder from images, with or without labels
    Pretrain(Box<pretrain::Args>),
    /// Draw the report of a training run again, or compare runs
    Report(report::Args),
    /// Evaluate the features of an encoder: k-NN, linear probe, few-shot episodes, abstention
    Eval(eval::Args),
    /// Train with several settings, and compare the encoders on tasks for development
    Sweep(sweep::Args),
    /// Reproduce a published result, with chart and table
    Reproduce(reproduce::Args),
    /// Export a trained encoder to ONNX and to device blobs, with a parity report
    Export(export::Args),
    /// Export the encoder and head of a device as one ONNX classifier
    ExportHead(export_head::Args),
    /// Create a key pair for signing bundles
    Keygen(keygen::Args),
    /// Create a bundle, the signed file for devices: encoder, preprocessing, golden images
    Bundle(bundle::Args),
    /// Deploy the device program and a bundle to another machine over SSH, and test them there
    Deploy(deploy::Args),
    /// Print the completions of a shell
    Completions(shell::CompletionsArgs),
    /// Write manual pages
    Man(shell::ManArgs),
}

/// Runs `command`; `seed_given` tells whether `pretrain` was given `--seed`.
pub fn run(command: Command, seed_given: bool, programs: &Programs) -> anyhow::Result<()> {
    let trains_on_ranks = cfg!(feature = "mpi") && matches!(command, Command::Pretrain(_));
    refuse_copies(launched(|name| std::env::var(name).ok()).filter(|_| !trains_on_ranks))?;
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Data(args) => data::run(args),
        Command::Advise(args) => advise::run(args),
        Command::Augment(args) => augment::run(args),
        Command::Encoders(args) => encoders::run(args),
        Command::Models(args) => models::run(args),
        Command::Pretrain(args) => pretrain::run(*args, seed_given),
        Command::Report(args) => report::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Sweep(args) => sweep::run(args),
        Command::Reproduce(args) => reproduce::run(args),
        Command::Export(args) => export::run(args),
        Command::ExportHead(args) => export_head::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Bundle(args) => bundle::run(args),
        Command::Deploy(args) => deploy::run(args),
        Command::Completions(args) => shell::completions(&args, programs),
        Command::Man(args) => shell::man(&args, programs),
    }
}
