//! A run's state in one safetensors file.
//!
//! Tensors, all f32: the encoder's parameters and running statistics under PyTorch's names
//! (`blocks.0.conv1.weight`, `blocks.0.norm1.running_mean`), the objective's head (`head.weight`), the
//! optimiser's vectors (`optimiser.momentum.blocks.0.conv1.weight`), and once the run is finished, or from the start where
//! the encoder stays as it is, the statistics of its features (`corpus.mean`, `corpus.std`, `corpus.length_max`).
//!
//! The header's metadata holds one entry, `macula`: a TOML text whose first line is
//! `sha256 = "…"` over all the rest, tensors included. One entry, because the order of several is not
//! fixed and the same run must give the same bytes.

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

/// Where a run stands; everything a checkpoint holds besides tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Kind and version of the file.
    pub format: String,
    /// Steps done.
    pub step: u64,
    /// Whether nothing is left to do.
    pub finished: bool,
    /// Length of `metrics.jsonl` at this step; what follows belongs to steps that are done again.
    pub metrics_bytes: u64,
    /// Images trained on.
    pub images: usize,
    /// SHA-256 over names and labels of the training images, in order: a resumed run needs the same ones.
    pub images_sha256: String,
    /// SHA-256 over the digests of the training images, in order: under the same names must be the same pixels. None in
    /// runs of programs that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels_sha256: Option<String>,
    /// Classes of the data set in label order; empty where nothing is labelled.
    pub class_names: Vec<String>,
    /// Sums over the unfinished epoch.
    pub tally: Tally,
    /// How images become network input, with the mean and deviation measured at the start.
    pub preprocessing: Preprocessing,
    /// The run.
    pub config: PretrainConfig,
}

impl Progress {
    /// The state of a run that is about to begin.
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
            preprocessing,
            config: config.clone(),
        }
    }
}

/// A run's whole state.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Where the run stands.
    pub progress: Progress,
    /// All tensors; see the module.
    pub tensors: Vec<NamedTensor>,
}

impl Checkpoint {
    /// The file's bytes: the same state gives the same bytes.
    ///
    /// # Panics
    /// When a tensor's length does not fit its shape or two share a name.
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

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// `path` is named in each: not a safetensors file, one of another program, of another version, or damaged.
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
            return Err(foreign(format!("its format is '{}', this program reads '{FORMAT}'", progress.format)));
        }
        let tensors = views.into_iter().map(|(name, view)| named(name, &view)).collect::<Result<_, _>>();
        Ok(Self { progress, tensors: tensors.map_err(foreign)? })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Self::from_bytes`], and when it cannot be read.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let bytes = read_bounded(path, MODEL_MAX).map_err(|error| RunError::io(path)(error.source))?;
        Self::from_bytes(path, &bytes)
    }

    /// The tensor of a name, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&NamedTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The statistics of the features, where the run has come to them.
    pub fn corpus(&self) -> Option<CorpusStatistics> {
        let vector = |name: &str| self.tensor(name).map(|tensor| tensor.data.clone());
        // A whole number up to 65,535, which f32 holds exactly.
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
    fn bytes_give_back_the_same_state() {
        let written = checkpoint();
        let bytes = written.to_bytes();
        let read = Checkpoint::from_bytes(Path::new("x"), &bytes).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.to_bytes(), bytes);
    }

    /// Every bit: a wrong weight must never be taken for a right one.
    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = checkpoint().to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            match Checkpoint::from_bytes(Path::new("x"), &damaged) {
                Err(RunError::Damaged { .. } | RunError::NotACheckpoint { .. }) => {}
                // JSON's white space after the header's text carries nothing.
                Ok(read) => assert_eq!(read, checkpoint(), "bit {bit} went unnoticed"),
                Err(other) => panic!("bit {bit}: {other}"),
            }
        }
        for len in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(Path::new("x"), &bytes[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn files_of_others_are_told_apart() {
        let refused = |bytes: &[u8]| Checkpoint::from_bytes(Path::new("run/c"), bytes).unwrap_err().to_string();
        let data = 1f32.to_le_bytes();
        let view = TensorView::new(Dtype::F32, vec![1], &data).unwrap();
        let foreign = safetensors::serialize([("a", view)], None).unwrap();
        assert!(refused(&foreign).contains("run/c") && refused(&foreign).contains("no entry 'macula'"));
        assert!(refused(b"PK\x03\x04").contains("run/c"));
        let mut newer = checkpoint();
        newer.progress.format = "macula pretrain 2".into();
        assert!(refused(&newer.to_bytes()).contains("'macula pretrain 2'"));
    }
}
