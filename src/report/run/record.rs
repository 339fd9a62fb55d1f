//! What a run folder says about a run.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::pictures::Pictures;
use crate::files::{TEXT_MAX, read_text_bounded};
use crate::pretrain::{EpochLine, PretrainConfig, RunError, RunFolder, TimingLine};

/// Name of the parity report of an export.
const PARITY: &str = "parity.json";

/// A run as its folder has it.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The folder as it was named.
    pub name: String,
    /// The configuration.
    pub config: PretrainConfig,
    /// Epochs in order; one of number 0 is the encoder that the run started from.
    pub epochs: Vec<EpochLine>,
    /// Times of the epochs in order; the last of an epoch that was interrupted.
    pub timings: Vec<TimingLine>,
    /// Pictures and map.
    pub pictures: Pictures,
    /// Parity of exported files, if they are in the folder.
    pub parity: Option<Parity>,
    /// What could not be read and is left out.
    pub remarks: Vec<String>,
}

/// The part of `parity.json` that a report shows.
#[derive(Clone, Debug, Deserialize)]
pub struct Parity {
    /// Images compared.
    pub images: usize,
    /// One per file.
    pub steps: Vec<ParityStep>,
}

/// An exported file.
#[derive(Clone, Debug, Deserialize)]
pub struct ParityStep {
    /// Its kind.
    pub file: String,
    /// Largest error.
    pub max_error: f64,
    /// Least cosine similarity.
    pub min_cosine: f64,
    /// Images whose nearest class or neighbour changed.
    pub flips: usize,
    /// Largest allowed error.
    pub tolerance: f64,
    /// Whether the largest error is within the tolerance.
    pub passed: bool,
}

impl RunRecord {
    /// Reads the run in `path`. Pictures and parity that cannot be read are left out with a remark.
    ///
    /// # Errors
    /// When configuration, metrics or timings are missing or invalid.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let (folder, config) = RunFolder::open(path)?;
        let epochs = folder.epochs()?;
        let timings: BTreeMap<u64, TimingLine> = folder.timings()?.into_iter().map(|line| (line.epoch, line)).collect();
        let mut remarks = Vec::new();
        let pictures = Pictures::read(path).unwrap_or_else(|reason| {
            remarks.push(format!("Pictures are left out: {reason}"));
            Pictures::default()
        });
        let parity = match parity(&folder.file(PARITY)) {
            Ok(found) => found,
            Err(reason) => {
                remarks.push(format!("Parity is left out: {PARITY}: {reason}"));
                None
            }
        };
        let timings = timings.into_values().collect();
        Ok(Self { name: path.display().to_string(), config, epochs, timings, pictures, parity, remarks })
    }

    /// Epochs done.
    pub fn epochs_done(&self) -> u64 {
        self.epochs.last().map_or(0, |line| line.epoch)
    }

    /// Whether all epochs are done.
    pub fn is_finished(&self) -> bool {
        self.epochs_done() >= self.config.epochs
    }
}

fn parity(path: &Path) -> Result<Option<Parity>, String> {
    if !path.exists() {
        return Ok(None);
    }
    let text = read_text_bounded(path, TEXT_MAX).map_err(|error| error.source.to_string())?;
    serde_json::from_str(&text).map(Some).map_err(|error| error.to_string())
}
