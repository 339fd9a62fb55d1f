//! Checkpoints: the state of a run in one safetensors file.
//!
//! Tensors, all f32: the encoder's parameters and running statistics under PyTorch's names
//! (`blocks.0.conv1.weight`, `blocks.0.norm1.running_mean`), the objective's head (`head.weight`) and state, the
//! weights that training continues with if the encoder is an average or that of an earlier epoch (`trained.`, `average.`), the optimiser's vectors (`optimiser.momentum.blocks.0.conv1.weight`), and the statistics of the features (`corpus.mean`,
//! `corpus.std`, `corpus.length_max`) once the run is finished, or from the start if the encoder is frozen; so, too, the linear map
//! of a readout that has one (`readout.weight`, `readout.bias`).
//!
//! The header's metadata has one entry, `macula`: TOML whose first line is `sha256 = "…"` over all the rest, tensors
//! included. It is one entry because safetensors does not fix the order of several, and the same run must give the same
//! bytes.

use std::collections::HashMap;
use std::path::Path;

use base16ct::lower::encode_string as hex;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::config::PretrainConfig;
use super::metrics::Tally;
use super::run_error::RunError;
use crate::data::Preprocessing;
use crate::encoder::{CorpusStatistics, NamedTensor};
use crate::files::{MODEL_MAX, read_bounded};

const FORMAT: &str = "macula pretrain 1";
const METADATA: &str = "macula";

/// The progress of a run: everything in a checkpoint besides tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Kind and version of the file.
    pub format: String,
    /// Completed steps.
    pub step: u64,
    /// Whether training is finished.
    pub finished: bool,
    /// Length of `metrics.jsonl` at this step; a resumed run truncates the file to it.
    pub metrics_bytes: u64,
    /// Number of training images.
    pub images: usize,
    /// SHA-256 over names and labels of the training images, in order; a resumed run needs the same.
    pub images_sha256: String,
    /// SHA-256 over the digests of the training images, in order; a resumed run needs the same. Absent in runs of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels_sha256: Option<String>,
    /// Class names of the dataset in label order; empty if no image has a label.
    pub class_names: Vec<String>,
    /// Sums over the unfinished epoch.
    pub tally: Tally,
    /// The epoch whose weights are kept so far; absent unless the run keeps the best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// Preprocessing, with the mean and deviation measured at the start.
    pub preprocessing: Preprocessing,
    /// The configuration of the run.
    pub config: PretrainConfig,
}

impl Progress {
    /// The progress of a new run.
    pub fn start(config: &PretrainConfig, preprocessing: Preprocessing) -> Self {
        Self {
            format: FORMAT.to_owned(),
            step: 0,
            finished: false,
            metrics_bytes: 0,
            images: 0,
            images_sha256: String::new(),
            pixels_sha256: None,
            class_names: Vec::new(),
            tally: Tally::default(),
            kept: None,
            preprocessing,
            config: config.clone(),
        }
    }
}

/// The epoch whose weights are the encoder of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Epochs done; 0 for the initial weights.
    pub epoch: u64,
    /// Its measure, larger is better.
    pub value: f64,
}

/// The complete state of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Everything besides tensors.
    pub progress: Progress,
    /// All tensors, as listed in the module's documentation.
    pub tensors: Vec<NamedTensor>,
}

impl Checkpoint {
    /// The bytes of the file. The same state gives the same bytes.
    ///
    /// # Panics
    /// When the length of a tensor does not fit its shape, or two tensors have the same name.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut tensors: Vec<(String, &[usize], Vec<u8>)> = (self.tensors.iter())
            .map(|t| (t.name.clone(), &t.shape[..], t.data.iter().flat_map(|x| x.to_le_bytes()).collect()))
            .collect();
        tensors.sort();
        let progress = toml::to_string(&self.progress).expect("the progress is plain TOML");
        let digest = digest(&progress, tensors.iter().map(|(name, shape, bytes)| (&name[..], *shape, &bytes[..])));
        let metadata = HashMap::from([(METADATA.to_owned(), format!("sha256 = \"{digest}\"\n{progress}"))]);
        let views = tensors.iter().map(|(name, shape, bytes)| {
            (name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).expect("as long as its shape says"))
        });
        safetensors::serialize(views, Some(metadata)).expect("names are distinct and tensors whole")
    }

    /// Reads the bytes of a checkpoint; `path` is for errors.
    ///
    /// # Errors
    /// When it is not a safetensors file, is of another program or version, or is damaged.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, RunError> {
        let foreign = |reason: String| RunError::NotACheckpoint { path: path.display().to_string(), reason };
        let header = SafeTensors::read_metadata(bytes).map_err(|error| foreign(error.to_string()))?.1;
        let text = (header.metadata().as_ref())
            .and_then(|metadata| metadata.get(METADATA))
            .ok_or_else(|| foreign("its header has no entry 'macula'".into()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| foreign(error.to_string()))?;
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let stored = first.strip_prefix("sha256 = \"").and_then(|line| line.strip_suffix('"')).unwrap_or(first);
        let mut views = file.tensors();
        views.sort_by(|a, b| a.0.cmp(&b.0));
        let computed = digest(rest, views.iter().map(|(name, view)| (&name[..], view.shape(), view.data())));
        if stored != computed {
            let stored = stored.to_owned();
            return Err(RunError::Damaged { path: path.display().to_string(), stored, computed });
        }
        let progress: Progress = toml::from_str(rest).map_err(|error| foreign(error.message().to_owned()))?;
        if progress.format != FORMAT {
            return Err(foreign(format!("its format is '{}', expected '{FORMAT}'", progress.format)));
        }
        let tensors = views.into_iter().map(|(name, view)| named(name, &view)).collect::<Result<_, _>>();
        Ok(Self { progress, tensors: tensors.map_err(foreign)? })
    }

    /// Reads the file `path`.
    ///
    /// # Errors
    /// As [`Self::from_bytes`], and when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let bytes = read_bounded(path, MODEL_MAX).map_err(|error| RunError::io(path)(error.source))?;
        Self::from_bytes(path, &bytes)
    }

    /// The tensor of this name, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&NamedTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The statistics of the features, if they are computed yet.
    pub fn corpus(&self) -> Option<CorpusStatistics> {
        let vector = |name: &str| self.tensor(name).map(|tensor| tensor.data.clone());
        // An integer of at most 65,535, which is exact in f32.
        let length_max = vector("corpus.length_max").and_then(|max| max.first().map(|&max| max as u16));
        let (mean, std) = vector("corpus.mean").zip(vector("corpus.std"))?;
        Some(CorpusStatistics { mean, std, length_max })
    }
}

/// `corpus.mean`, `corpus.std` and `corpus.length_max`, as [`Checkpoint::corpus`] reads them.
pub(super) fn corpus_tensors(corpus: &CorpusStatistics) -> Vec<NamedTensor> {
    let named = |name: &str, data: Vec<f32>| NamedTensor { name: name.to_owned(), shape: vec![data.len()], data };
    let mut tensors = vec![named("corpus.mean", corpus.mean.clone()), named("corpus.std", corpus.std.clone())];
    tensors.extend(corpus.length_max.map(|max| named("corpus.length_max", vec![f32::from(max)])));
    tensors
}

fn named(name: String, view: &TensorView<'_>) -> Result<NamedTensor, String> {
    if view.dtype() != Dtype::F32 {
        return Err(format!("tensor '{name}' is of type {:?}, not F32", view.dtype()));
    }
    let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(NamedTensor { name, shape: view.shape().to_vec(), data })
}

/// SHA-256 in hexadecimal over `text` and the tensors in the order given.
fn digest<'a>(text: &str, tensors: impl Iterator<Item = (&'a str, &'a [usize], &'a [u8])>) -> String {
    let mut hash = Sha256::new();
    hash.update(text);
    for (name, shape, bytes) in tensors {
        hash.update(format!("\n{name} {shape:?}\n"));
        hash.update(bytes);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ResizeFilter;
    use crate::objective::Method;

    fn checkpoint() -> Checkpoint {
        let preprocessing = Preprocessing {
            channels: 1,
            height: 32,
            width: 32,
            filter: ResizeFilter::Triangle,
            mean: vec![0.1 + 0.2],
            std: vec![1.0 / 3.0],
            range: None,
        };
        let mut progress = Progress::start(&PretrainConfig::new("phantoms", Method::Rotation), preprocessing);
        progress.tally = Tally { loss_sum: 0.1 + 0.2, counted: vec![3, 4], right: vec![1, 2], ..Tally::default() };
        let tensor = |name: &str, data: &[f32]| NamedTensor {
            name: name.to_owned(),
            shape: vec![data.len()],
            data: data.to_vec(),
        };
        let tensors = vec![tensor("a", &[1.0, f32::MIN_POSITIVE]), tensor("b", &[-0.0, 1e30, 3.5])];
        Checkpoint { progress, tensors }
    }

    #[test]
    fn bytes_restore_the_same_state() {
        let written = checkpoint();
        let bytes = written.to_bytes();
        let read = Checkpoint::from_bytes(Path::new("x"), &bytes).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.to_bytes(), bytes);
    }

    /// A damaged weight must never be used.
    #[test]
    fn every_flipped_bit_and_every_truncation_is_an_error() {
        let bytes = checkpoint().to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            match Checkpoint::from_bytes(Path::new("x"), &damaged) {
                Err(RunError::Damaged { .. } | RunError::NotACheckpoint { .. }) => {}
                // White space after the JSON header has no meaning.
                Ok(read) => assert_eq!(read, checkpoint(), "bit {bit} went unnoticed"),
                Err(other) => panic!("bit {bit}: {other}"),
            }
        }
        for len in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(Path::new("x"), &bytes[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn foreign_files_and_versions_are_errors() {
        let is_foreign = |bytes: &[u8]| match Checkpoint::from_bytes(Path::new("run/c"), bytes) {
            Err(RunError::NotACheckpoint { path, .. }) => path == "run/c",
            _ => false,
        };
        let data = 1f32.to_le_bytes();
        let view = TensorView::new(Dtype::F32, vec![1], &data).unwrap();
        let foreign = safetensors::serialize([("a", view)], None).unwrap();
        assert!(is_foreign(&foreign) && is_foreign(b"PK\x03\x04"));
        let mut newer = checkpoint();
        newer.progress.format = "macula pretrain 2".into();
        assert!(is_foreign(&newer.to_bytes()) && !is_foreign(&checkpoint().to_bytes()));
    }
}
