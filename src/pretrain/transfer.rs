//! Initial weights from an encoder that was trained before.

use std::path::Path;

use super::config::{Init, PretrainConfig};
use super::error::PretrainError;
use super::run::Run;
use super::run_error::RunError;
use crate::data::Preprocessing;
use crate::encoder::Network;

impl Init {
    /// The encoder of the newest checkpoint of the run in `folder`, or another name that [`Run::load`] takes.
    ///
    /// # Errors
    /// As [`Run::load`].
    pub fn of(folder: &Path) -> Result<Self, RunError> {
        Ok(Self { encoder: folder.display().to_string(), sha256: Run::load(folder)?.info.id.to_string() })
    }
}

/// The network of `config` with its initial weights, and its preprocessing if the weights are those of another run.
///
/// Mean and deviation belong to the weights: filters and running statistics expect inputs of that scale, and a frozen
/// encoder cannot adapt to another. The size may differ, because weights do not depend on it.
///
/// # Errors
/// When the encoder cannot be read, has changed, or does not fit.
pub(super) fn starting_network(config: &PretrainConfig) -> Result<(Network, Option<Preprocessing>), PretrainError> {
    let mut network = config.network()?;
    let Some(init) = &config.init else { return Ok((network, None)) };
    let run = Run::load(Path::new(&init.encoder))?;
    let encoder = || init.encoder.clone();
    if run.info.id.to_string() != init.sha256 {
        let (stored, computed) = (init.sha256.clone(), run.info.id.to_string());
        return Err(PretrainError::OtherInit { encoder: encoder(), stored, computed });
    }
    if run.config.encoder != config.encoder {
        let [found, expected] = [run.config.encoder, config.encoder].map(|preset| preset.name());
        return Err(PretrainError::InitPreset { encoder: encoder(), found, expected });
    }
    let (found, expected) = (run.network.spec().input.channels, config.channels);
    if found != expected {
        return Err(PretrainError::InitChannels { encoder: encoder(), found, expected });
    }
    let folder = Path::new(&init.encoder);
    let tensors = run.network.to_named(&run.network.parameters);
    network.parameters = network.from_named(&tensors).map_err(RunError::tensors(folder))?;
    network.set_statistics(&run.network.statistics()).map_err(RunError::tensors(folder))?;
    if config.freeze.is_some() {
        let readout = run.network.spec().readout;
        if readout != config.readout {
            return Err(PretrainError::InitReadout { encoder: encoder(), found: readout, expected: config.readout });
        }
        network.set_readout(readout, run.network.map().cloned())?;
    }
    let preprocessing =
        Preprocessing { height: config.size, width: config.size, range: config.range, ..run.info.preprocessing };
    Ok((network, Some(preprocessing)))
}
