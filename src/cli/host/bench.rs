//! `macula bench`: measures training and reading of images, and compares with peers.

mod augment;
pub mod compare;
mod data;
mod train;

/// Benchmarks of training.
#[derive(clap::Subcommand)]
pub enum Training {
    /// Measure training steps on random images: forward, backward, SGD with momentum
    Train(train::Args),
    /// Measure augmentation: rate of views of random images on one thread
    Augment(augment::Args),
    /// Measure reading, decoding and resizing of a dataset's images
    Data(data::Args),
}

/// Runs the command.
pub fn run(training: Training) -> anyhow::Result<()> {
    match training {
        Training::Train(args) => train::run(&args),
        Training::Augment(args) => augment::run(&args),
        Training::Data(args) => data::run(&args),
    }
}
