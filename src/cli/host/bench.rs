//! `macula bench`: the parts that measure training.

mod augment;
mod train;

use crate::encoder::{InputShape, Preset};

/// What is measured of training.
#[derive(clap::Subcommand)]
pub enum Training {
    /// Training steps on random images: forward, backward, SGD with momentum
    Train(train::Args),
    /// Views of random images on one thread: rate
    Augment(augment::Args),
}

/// Runs it.
pub fn run(training: Training) -> anyhow::Result<()> {
    match training {
        Training::Train(args) => train::run(&args),
        Training::Augment(args) => augment::run(&args),
    }
}

/// What a preset is measured on unless told otherwise: the smallest real data it is meant for.
pub fn customary_input(preset: Preset) -> InputShape {
    let (channels, side) = match preset {
        Preset::Pico => (1, 28),
        Preset::Nano | Preset::Micro => (3, 32),
        Preset::Mobile => (3, 64),
    };
    InputShape { channels, height: side, width: side }
}
