//! The run folder: where a run's files lie, and the trained encoder read back from them.
//!
//! | file                     | what                                                          |
//! |--------------------------|---------------------------------------------------------------|
//! | `config.toml`            | the resolved configuration                                    |
//! | `metrics.jsonl`          | loss and scores, a JSON object a line                         |
//! | `timings.jsonl`          | seconds and images a second; differs from run to run          |
//! | `checkpoint.safetensors` | parameters, optimiser, progress; replaced whole, never patched |
//! | `training-images.json`   | digests of the images trained on                              |

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::checkpoint::{Checkpoint, hex};
use super::config::PretrainConfig;
use super::metrics::{EpochLine, Line};
use super::training_images::TRAINING_IMAGES;
use crate::data::{Preprocessing, known_as};
use crate::encoder::{CorpusStatistics, EmbedError, Embedder, Network, SpecError, TensorError};
use crate::files::{TEXT_MAX, WriteError, read_text_bounded, write_whole};
use crate::models;

/// Name of the checkpoint in a run folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of the configuration in a run folder.
pub const CONFIG: &str = "config.toml";
/// Name of the metrics in a run folder.
pub const METRICS: &str = "metrics.jsonl";
/// Name of the timings in a run folder.
pub const TIMINGS: &str = "timings.jsonl";

/// A run folder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file could not be read or appended to.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be written whole.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The folder is taken.
    #[error("{path} exists and is not empty: choose another folder, or continue the run in it with --resume")]
    NotEmpty {
        /// The folder.
        path: String,
    },
    /// The folder holds no run.
    #[error("{path} is no run folder: it has no {CONFIG}")]
    NoRun {
        /// The folder.
        path: String,
    },
    /// The run has not come to its first checkpoint.
    #[error("{path} does not exist: the run has no checkpoint yet; continue it with --resume")]
    NoCheckpoint {
        /// The file.
        path: String,
    },
    /// The configuration cannot be understood.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Something else lies in the checkpoint's place.
    #[error("{path} is no checkpoint of a pretraining run: {reason}")]
    NotACheckpoint {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The record of the training images cannot be understood.
    #[error("{path} is no record of a run's training images: {reason}")]
    NotARecord {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The checkpoint's content is not what was written.
    #[error("{path} is damaged: its SHA-256 is {computed}, {stored} was written")]
    Damaged {
        /// The file.
        path: String,
        /// What it says of itself.
        stored: String,
        /// What it is.
        computed: String,
    },
    /// The checkpoint's tensors do not fit the network it names.
    #[error("{path}: {source}")]
    Tensors {
        /// The file.
        path: String,
        /// Which one and why.
        source: TensorError,
    },
    /// A line of the metrics cannot be understood.
    #[error("{path}, line {line}: {reason}")]
    Metrics {
        /// The file.
        path: String,
        /// Its number, counted from 1.
        line: usize,
        /// Why not.
        reason: String,
    },
    /// The checkpoint names a network that does not exist.
    #[error("{path}: {source}")]
    Spec {
        /// The file.
        path: String,
        /// Why not.
        source: SpecError,
    },
}

impl RunError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }

    pub(super) fn tensors(path: &Path) -> impl Fn(TensorError) -> Self {
        let path = path.display().to_string();
        move |source| Self::Tensors { path: path.clone(), source }
    }
}

/// A folder that holds, or is about to hold, a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
    created: bool,
}

impl RunFolder {
    /// Takes `path` for a new run and writes its configuration, which shows that it can be written to.
    ///
    /// # Errors
    /// When there is something in it already, or it cannot be written to.
    pub fn create(path: &Path, config: &PretrainConfig) -> Result<Self, RunError> {
        let created = !path.exists();
        std::fs::create_dir_all(path).map_err(RunError::io(path))?;
        if std::fs::read_dir(path).map_err(RunError::io(path))?.next().is_some() {
            return Err(RunError::NotEmpty { path: path.display().to_string() });
        }
        let folder = Self { path: path.to_owned(), created };
        if let Err(error) = write_whole(&folder.file(CONFIG), config.to_toml().as_bytes()) {
            folder.discard();
            return Err(error.into());
        }
        Ok(folder)
    }

    /// Opens a run that was begun before.
    ///
    /// # Errors
    /// When it has no readable configuration.
    pub fn open(path: &Path) -> Result<(Self, PretrainConfig), RunError> {
        let folder = Self { path: path.to_owned(), created: false };
        let file = folder.file(CONFIG);
        let text = read_text_bounded(&file, TEXT_MAX).map_err(|error| match error.source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                RunError::NoRun { path: path.display().to_string() }
            }
            _ => RunError::io(&file)(error.source),
        })?;
        let config = toml::from_str(&text).map_err(|error| RunError::Config {
            path: file.display().to_string(),
            reason: error.to_string().lines().collect::<Vec<_>>().join(" "),
        })?;
        Ok((folder, config))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The newest checkpoint, if the run came to one.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, RunError> {
        let path = self.file(CHECKPOINT);
        if path.exists() { Checkpoint::read(&path).map(Some) } else { Ok(None) }
    }

    /// The epochs told in `metrics.jsonl`, in order.
    ///
    /// # Errors
    /// When the file cannot be read or a line is neither an epoch's nor a step's.
    pub fn epochs(&self) -> Result<Vec<EpochLine>, RunError> {
        let path = self.file(METRICS);
        let text = read_text_bounded(&path, TEXT_MAX).map_err(|error| RunError::io(&path)(error.source))?;
        let mut epochs = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let foreign = |error: serde_json::Error| RunError::Metrics {
                path: path.display().to_string(),
                line: index + 1,
                reason: error.to_string(),
            };
            if let Line::Epoch(epoch) = serde_json::from_str(line).map_err(foreign)? {
                epochs.push(epoch);
            }
        }
        Ok(epochs)
    }

    /// Gives the folder up: a run that never began leaves nothing behind.
    ///
    /// What cannot be removed stays; there is already an error to report.
    pub fn discard(&self) {
        let _ = std::fs::remove_file(self.file(CONFIG));
        let _ = std::fs::remove_file(self.file(TRAINING_IMAGES));
        if self.created {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// A pretrained encoder, read from its run folder.
pub struct Run {
    /// With the parameters of the newest checkpoint.
    pub network: Network,
    /// How an image becomes its input.
    pub preprocessing: Preprocessing,
    /// How it was trained.
    pub config: PretrainConfig,
    /// Classes of the training data in label order; empty where nothing was labelled.
    pub class_names: Vec<String>,
    /// Steps trained.
    pub step: u64,
    /// Whether training came to its end.
    pub finished: bool,
    name: String,
    identity: [u8; 32],
    corpus: Option<CorpusStatistics>,
}

impl Run {
    /// Reads the newest checkpoint of the run in `dir`, or the encoder of that name which comes with the program.
    ///
    /// # Errors
    /// No run there, no checkpoint yet, a damaged or foreign file: each names the file.
    pub fn load(dir: &Path) -> Result<Self, RunError> {
        let (path, checkpoint) = Self::checkpoint_of(dir)?;
        let network = network_of(&checkpoint, &path)?;
        let corpus = checkpoint.corpus();
        let progress = checkpoint.progress;
        Ok(Self {
            identity: identity(&network, &progress.preprocessing),
            network,
            preprocessing: progress.preprocessing,
            config: progress.config,
            class_names: progress.class_names,
            step: progress.step,
            finished: progress.finished,
            name: format!("run {}", dir.display()),
            corpus,
        })
    }

    /// [`Embedder::identity`] in hexadecimal.
    pub fn sha256(&self) -> String {
        hex(&self.identity)
    }
}

impl Run {
    /// The checkpoint, and the file that errors name.
    fn checkpoint_of(dir: &Path) -> Result<(PathBuf, Checkpoint), RunError> {
        if let Some(model) = dir.to_str().and_then(models::find).filter(|_| !dir.exists()) {
            return Ok((dir.to_owned(), Checkpoint::from_bytes(dir, model.checkpoint)?));
        }
        let (folder, _) = RunFolder::open(dir)?;
        let path = folder.file(CHECKPOINT);
        let no_checkpoint = || RunError::NoCheckpoint { path: path.display().to_string() };
        let checkpoint = folder.checkpoint()?.ok_or_else(no_checkpoint)?;
        Ok((path, checkpoint))
    }

    /// The bytes of the checkpoint of the run in `dir` without what only training needs: encoder and corpus are there,
    /// head and optimiser are not. It goes to strangers, so of where data and an earlier encoder lay it has the names alone.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn encoder_checkpoint(dir: &Path) -> Result<Vec<u8>, RunError> {
        let (path, mut checkpoint) = Self::checkpoint_of(dir)?;
        let network = network_of(&checkpoint, &path)?;
        let kept: Vec<String> = (network.to_named(&network.parameters).into_iter())
            .chain(network.statistics())
            .map(|tensor| tensor.name)
            .collect();
        checkpoint.tensors.retain(|tensor| kept.contains(&tensor.name) || tensor.name.starts_with("corpus."));
        let config = &mut checkpoint.progress.config;
        config.data = known_as(&config.data);
        if let Some(init) = &mut config.init {
            init.encoder = known_as(&init.encoder);
        }
        Ok(checkpoint.to_bytes())
    }
}

/// The network of a checkpoint that was read from `path`.
pub(super) fn network_of(checkpoint: &Checkpoint, path: &Path) -> Result<Network, RunError> {
    let config = &checkpoint.progress.config;
    let spec_error = |source| RunError::Spec { path: path.display().to_string(), source };
    let mut network = Network::new(config.spec().map_err(spec_error)?, config.seed).map_err(spec_error)?;
    network.parameters = network.from_named(&checkpoint.tensors).map_err(RunError::tensors(path))?;
    network.set_statistics(&checkpoint.tensors).map_err(RunError::tensors(path))?;
    Ok(network)
}

fn identity(network: &Network, preprocessing: &Preprocessing) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(toml::to_string(preprocessing).expect("a recipe is plain TOML"));
    hash.update(toml::to_string(network.spec()).expect("a spec is plain TOML"));
    for tensor in network.to_named(&network.parameters).iter().chain(&network.statistics()) {
        hash.update(format!("\n{} {:?}\n", tensor.name, tensor.shape));
        tensor.data.iter().for_each(|x| hash.update(x.to_le_bytes()));
    }
    hash.finalize().into()
}

impl Embedder for Run {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn identity(&self) -> [u8; 32] {
        self.identity
    }

    fn corpus(&self) -> Option<&CorpusStatistics> {
        self.corpus.as_ref()
    }

    fn feature_dim(&self) -> usize {
        self.network.spec().feature_dim()
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError> {
        let features = self.network.embed(input);
        let dim = self.feature_dim();
        match features.iter().position(|value| !value.is_finite()) {
            None => Ok(features),
            Some(at) => Err(EmbedError::NotFinite {
                encoder: self.name(),
                image: at / dim,
                position: at % dim,
                value: features[at],
            }),
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at step {}, {}", self.name, self.step, hex(&self.identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrain::Method;

    #[test]
    fn a_new_run_takes_only_an_empty_folder() {
        let config = PretrainConfig::new("phantoms", Method::Rotation);
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("deep/run");
        let folder = RunFolder::create(&path, &config).unwrap();
        assert_eq!(RunFolder::open(&path).unwrap().1, config);
        let refused = RunFolder::create(&path, &config).unwrap_err().to_string();
        assert!(refused.contains("deep/run") && refused.contains("--resume"), "{refused}");
        folder.discard();
        assert!(!path.exists(), "a run that never began leaves nothing");
    }

    #[test]
    fn folders_without_a_run_are_named() {
        let temporary = tempfile::tempdir().unwrap();
        let message = |path: &Path| Run::load(path).unwrap_err().to_string();
        assert!(message(temporary.path()).contains("no run folder"));
        assert!(message(&temporary.path().join("absent")).contains("absent is no run folder"));
        let path = temporary.path().join("run");
        RunFolder::create(&path, &PretrainConfig::new("phantoms", Method::Rotation)).unwrap();
        assert!(message(&path).contains("no checkpoint yet"));
        std::fs::write(path.join(CHECKPOINT), "not this").unwrap();
        assert!(message(&path).contains("is no checkpoint"));
        std::fs::write(path.join(CONFIG), "epochs = \"many\"").unwrap();
        assert!(message(&path).contains("config.toml"));
        // A file where the folder should be.
        std::fs::write(temporary.path().join("file"), "").unwrap();
        let config = PretrainConfig::new("phantoms", Method::Rotation);
        assert!(RunFolder::create(&temporary.path().join("file"), &config).is_err());
    }
}
