//! `macula bench`: the parts that measure training.

mod augment;
mod train;

/// What is measured of training.
#[derive(clap::Subcommand)]
pub enum Training {
    /// Training steps on random images: forward, backward, SGD with momentum
    Train(train::Args),
    /// Views of random images on one thread: rate
    Augment(augment::Args),
}

/// Runs the command.
pub fn run(training: Training) -> anyhow::Result<()> {
    match training {
        Training::Train(args) => train::run(&args),
        Training::Augment(args) => augment::run(&args),
    }
}
