//! `macula bench`: the parts that measure training.

mod augment;
mod train;

use crate::cli::device::bench::encoder::Subject;
use crate::data::Preprocessing;
use crate::encoder::{EncoderSpec, InputShape, Network, Preset};

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
fn customary_input(preset: Preset) -> InputShape {
    let (channels, side) = match preset {
        Preset::Pico => (1, 28),
        Preset::Nano | Preset::Micro => (3, 32),
        Preset::Mobile => (3, 64),
    };
    InputShape { channels, height: side, width: side }
}

/// An encoder of random weights. The shape of a preset decides its speed: neither images nor statistics are needed.
pub fn random_encoder(preset: &str, seed: u64) -> anyhow::Result<Subject> {
    let preset: Preset = preset.parse()?;
    let input = customary_input(preset);
    let network = Network::new(EncoderSpec::preset(preset, input)?, seed)?;
    let preprocessing = Preprocessing::unit(input.channels, input.height, input.width);
    Ok(Subject { input, encode: Box::new(move |pixels| Ok(network.embed(&preprocessing.normalise(pixels)))) })
}
