//! Commands of the host: data, pretraining, evaluation, export, bundles, deployment. One command a file.

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
mod reproduce;

/// These commands.
#[derive(clap::Subcommand)]
pub enum Command {
    /// The main job on embedded phantoms: pretrain, export, learn, predict, forget; under a minute
    Demo(demo::Args),
    /// What is in a data set: images, sizes, classes, duplicates, leaks between splits
    Data(data::Args),
    /// A picture of what a policy of augmentations does to an image
    Augment(augment::Args),
    /// The encoder presets and what they cost: multiply-accumulates, parameters, memory
    Encoders(encoders::Args),
    /// The encoders that come with the program, to start from, and their cards
    Models(models::Args),
    /// Train an encoder from images, with or without labels
    Pretrain(pretrain::Args),
    /// How good an encoder's features are: k-NN, linear probe, few-shot episodes
    Eval(eval::Args),
    /// Re-create a lesson of the field, from seed to picture and table
    Reproduce(reproduce::Args),
    /// Write a trained encoder as ONNX, f32 and f16, with a parity report
    Export(export::Args),
    /// Write what a device was taught as one ONNX classifier that runs anywhere
    ExportHead(export_head::Args),
    /// Make a pair of keys to sign bundles with
    Keygen(keygen::Args),
    /// Write the signed file that devices take: encoder, preprocessing, golden images
    Bundle(bundle::Args),
    /// Bring a device's program and a bundle to another machine over SSH, and prove them there
    Deploy(deploy::Args),
}

/// Runs `command`; `seed_given` says whether `pretrain` was given a seed or has the default.
pub fn run(command: Command, seed_given: bool) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Data(args) => data::run(args),
        Command::Augment(args) => augment::run(args),
        Command::Encoders(args) => encoders::run(args),
        Command::Models(args) => models::run(args),
        Command::Pretrain(args) => pretrain::run(args, seed_given),
        Command::Eval(args) => eval::run(args),
        Command::Reproduce(args) => reproduce::run(args),
        Command::Export(args) => export::run(args),
        Command::ExportHead(args) => export_head::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Bundle(args) => bundle::run(args),
        Command::Deploy(args) => deploy::run(args),
    }
}
