//! From a name on the command line to an encoder.

use std::path::Path;

use super::{ColourStatistics, EvaluateError, RandomEncoder, RawPixels};
use crate::blob::BlobFile;
use crate::data::{Dataset, Preprocessing};
use crate::encoder::{Embedder, Preset};
use crate::models;
use crate::pretrain::Run;

/// What an encoder that brings no preprocessing of its own is fitted to.
pub struct EncoderInput<'a> {
    /// The images at hand.
    pub dataset: &'a Dataset,
    /// Those that may be looked at without their labels: mean and deviation of pixels, and batch
    /// norm statistics of a random encoder, are measured on them.
    pub unlabelled: &'a [usize],
    /// 1 or 3.
    pub channels: usize,
    /// Rows of the network's input.
    pub height: usize,
    /// Columns of the network's input.
    pub width: usize,
}

impl EncoderInput<'_> {
    fn preprocessing(&self) -> Result<Preprocessing, EvaluateError> {
        Ok(Preprocessing::for_corpus(self.dataset, self.unlabelled, self.channels, self.height, self.width)?)
    }
}

/// Images looked at to tell grey from colour.
const SAMPLE: usize = 32;

/// 3 where any of some images spread over `indices` shows colour, else 1.
///
/// # Errors
/// An image that cannot be read.
pub fn channels_of(dataset: &Dataset, indices: &[usize]) -> Result<usize, EvaluateError> {
    let count = SAMPLE.min(indices.len());
    for at in 0..count {
        if !dataset.load(indices[at * indices.len() / count])?.is_grey() {
            return Ok(3);
        }
    }
    Ok(1)
}

/// Opens `raw-pixels`, `colour-statistics`, `random:PRESET`, a run's folder, an ONNX file or a device blob.
///
/// `seed` draws the weights of a random encoder.
///
/// # Errors
/// What was found under the name instead, or what is wrong with the encoder.
pub fn open_encoder(name: &str, input: &EncoderInput<'_>, seed: u64) -> Result<Box<dyn Embedder>, EvaluateError> {
    if name == "raw-pixels" {
        return Ok(Box::new(RawPixels::new(input.preprocessing()?)));
    }
    if name == "colour-statistics" {
        return Ok(Box::new(ColourStatistics::new(input.preprocessing()?)));
    }
    if let Some(preset) = name.strip_prefix("random:") {
        let (preset, recipe) = (preset.parse()?, input.preprocessing()?);
        return Ok(Box::new(RandomEncoder::new(preset, recipe, input.dataset, input.unlabelled, seed)?));
    }
    open_path(name)
}

/// Opens a run's folder, an encoder that comes with the program, an ONNX file or a device blob, the encoders that bring their own preprocessing.
///
/// # Errors
/// What was found under the name instead, or what is wrong with the encoder.
pub fn open_path(name: &str) -> Result<Box<dyn Embedder>, EvaluateError> {
    let path = Path::new(name);
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(_) if models::find(name).is_some() => return open_run(path),
        Err(error) => return Err(EvaluateError::UnknownEncoder { name: name.to_owned(), found: error.to_string() }),
    };
    if found.is_dir() {
        return open_run(path);
    }
    let has_extension = |wanted| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(wanted));
    if has_extension("onnx") {
        return open_onnx(path);
    }
    if has_extension("blob") {
        return open_blob(path);
    }
    Err(EvaluateError::UnknownEncoder {
        name: name.to_owned(),
        found: "a file whose name does not end in .onnx or .blob".into(),
    })
}

fn open_run(path: &Path) -> Result<Box<dyn Embedder>, EvaluateError> {
    Ok(Box::new(load_run(path)?))
}

fn load_run(path: &Path) -> Result<Run, EvaluateError> {
    Run::load(path)
        .map_err(|error| EvaluateError::Encoder { name: path.display().to_string(), message: error.to_string() })
}

fn open_blob(path: &Path) -> Result<Box<dyn Embedder>, EvaluateError> {
    match BlobFile::open(path) {
        Ok(encoder) => Ok(Box::new(encoder)),
        Err(error) => Err(EvaluateError::Encoder { name: path.display().to_string(), message: error.to_string() }),
    }
}

#[cfg(feature = "onnx")]
fn open_onnx(path: &Path) -> Result<Box<dyn Embedder>, EvaluateError> {
    match crate::runtime::OnnxEncoder::open(path) {
        Ok(encoder) => Ok(Box::new(encoder)),
        Err(error) => Err(EvaluateError::Encoder { name: path.display().to_string(), message: error.to_string() }),
    }
}

#[cfg(not(feature = "onnx"))]
fn open_onnx(path: &Path) -> Result<Box<dyn Embedder>, EvaluateError> {
    Err(EvaluateError::Encoder {
        name: path.display().to_string(),
        message: "this program was built without ONNX; build it with --features onnx".to_owned(),
    })
}

/// The baselines that stand beside an encoder: `raw-pixels`, then `random:PRESET`, without those asked for.
///
/// * `preset`: that of the asked encoder where it has one, else nano
pub fn baselines_for(name: &str, preset: Option<Preset>) -> Vec<String> {
    let random = format!("random:{}", preset.unwrap_or(Preset::Nano).name());
    ["raw-pixels".to_owned(), random].into_iter().filter(|baseline| baseline != name).collect()
}

/// The preset of the encoder that `name` leads to, where that can be told: of a random encoder or a run.
pub fn preset_of(name: &str) -> Option<Preset> {
    if let Some(preset) = name.strip_prefix("random:") {
        return preset.parse().ok();
    }
    let path = Path::new(name);
    (path.is_dir() || models::find(name).is_some())
        .then(|| load_run(path).ok())
        .flatten()
        .and_then(|run| run.network.spec().name.parse().ok())
}
