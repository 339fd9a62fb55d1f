//! A trained encoder, read from its run folder.

use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, Progress, corpus_tensors};
use super::config::PretrainConfig;
use super::run_error::RunError;
use super::run_folder::{CHECKPOINT, CONFIG, RunFolder, WEIGHTS};
use crate::data::{Preprocessing, short_name};
use crate::encoder::{
    CorpusStatistics, EncodeError, EncoderId, HostEncoder, HostEncoderInfo, IdHash, InputShape, NamedTensor, Network,
    READOUT_WEIGHT, adapt, emptied, require_finite,
};
use crate::models;

/// A pretrained encoder, read from its run folder.
pub struct Run {
    /// The network with the parameters of the newest checkpoint.
    pub network: Network,
    /// The configuration of the run.
    pub config: PretrainConfig,
    /// Class names of the training data in label order; empty if no image has a label.
    pub class_names: Vec<String>,
    /// Completed steps.
    pub step: u64,
    /// Whether training is finished.
    pub finished: bool,
    /// Identity, preprocessing and corpus statistics.
    pub info: HostEncoderInfo,
}

impl Run {
    /// Reads the newest checkpoint of the run in `dir`, the weights [`WEIGHTS`] of an export in `dir`, a file of such
    /// weights, or the shipped model of that name. `NAME@CHANNELSxHEIGHTxWIDTH` is `NAME` [with another
    /// input](Self::with_input).
    ///
    /// # Errors
    /// When there is no run or no checkpoint, a file is damaged, or the encoder does not take the input; the error names
    /// the file.
    pub fn load(dir: &Path) -> Result<Self, RunError> {
        match Self::split_input(dir) {
            (name, Some(input)) => Self::load_stored(name)?.with_input(input),
            (name, None) => Self::load_stored(name),
        }
    }

    /// The name without a requested input, and that input. An existing path is not split.
    fn split_input(dir: &Path) -> (&Path, Option<InputShape>) {
        match dir.to_str().filter(|_| !dir.exists()).and_then(InputShape::split_from) {
            Some((name, input)) => (Path::new(name), Some(input)),
            None => (dir, None),
        }
    }

    fn load_stored(dir: &Path) -> Result<Self, RunError> {
        let (path, checkpoint) = Self::checkpoint_of(dir)?;
        let network = network_of(&checkpoint, &path)?;
        let corpus = checkpoint.corpus();
        let progress = checkpoint.progress;
        let info = HostEncoderInfo {
            name: format!("run {}", dir.display()),
            id: identity(&network, &progress.preprocessing),
            feature_dim: network.feature_dim(),
            preprocessing: progress.preprocessing,
            corpus,
            arithmetic: "f32".to_owned(),
        };
        let Progress { config, class_names, step, finished, .. } = progress;
        Ok(Self { network, config, class_names, step, finished, info })
    }

    /// The path of the checkpoint, for errors, and the checkpoint.
    fn checkpoint_of(dir: &Path) -> Result<(PathBuf, Checkpoint), RunError> {
        if let Some(model) = dir.to_str().and_then(models::find).filter(|_| !dir.exists()) {
            return Ok((dir.to_owned(), Checkpoint::from_bytes(dir, model.checkpoint)?));
        }
        // A folder may hold a run and its export; the run is newer or the same.
        let weights = if dir.is_file() { dir.to_owned() } else { dir.join(WEIGHTS) };
        if weights.is_file() && !dir.join(CONFIG).is_file() {
            let checkpoint = Checkpoint::read(&weights)?;
            return Ok((weights, checkpoint));
        }
        let (folder, _) = RunFolder::open(dir)?;
        let path = folder.file(CHECKPOINT);
        let no_checkpoint = || RunError::NoCheckpoint { path: path.display().to_string() };
        let checkpoint = folder.checkpoint()?.ok_or_else(no_checkpoint)?;
        Ok((path, checkpoint))
    }

    /// The same encoder with another input; see [`adapt`]. Its features have no statistics yet, and another identity.
    ///
    /// # Errors
    /// When the encoder does not take the input.
    pub fn with_input(mut self, input: InputShape) -> Result<Self, RunError> {
        if input == self.network.spec().input {
            return Ok(self);
        }
        let adapted = adapt(&self.network, &self.info.preprocessing, input);
        let (network, preprocessing) = adapted.map_err(RunError::input(Path::new(&self.info.name)))?;
        self.info = HostEncoderInfo {
            name: format!("{} at {input}", self.info.name),
            id: identity(&network, &preprocessing),
            preprocessing,
            corpus: None,
            ..self.info
        };
        self.network = network;
        Ok(self)
    }

    /// Whether its input is not the one it was trained with.
    pub fn has_other_input(&self) -> bool {
        let trained = InputShape { channels: self.config.channels, height: self.config.size, width: self.config.size };
        self.network.spec().input != trained
    }

    /// A checkpoint of this encoder for publication: weights and statistics of the features, without head and optimiser.
    /// Paths of data and initial encoder are reduced to their last component.
    ///
    /// * `dir`: as it was given to [`Self::load`]
    /// * `corpus`: statistics of the features; without them, those stored if they are of this input and readout
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn encoder_checkpoint(&self, dir: &Path, corpus: Option<&CorpusStatistics>) -> Result<Vec<u8>, RunError> {
        let (_, mut checkpoint) = Self::checkpoint_of(Self::split_input(dir).0)?;
        let is_stored = self.info.preprocessing == checkpoint.progress.preprocessing
            && self.config.readout == checkpoint.progress.config.readout
            && self.network.map_tensors().iter().all(|tensor| checkpoint.tensor(&tensor.name) == Some(tensor));
        let stored = checkpoint.corpus().filter(|_| is_stored);
        checkpoint.tensors.clear();
        checkpoint.tensors.extend(self.network.to_named(&self.network.parameters));
        checkpoint.tensors.extend(self.network.statistics());
        checkpoint.tensors.extend(self.network.map_tensors());
        checkpoint.tensors.extend(corpus.or(stored.as_ref()).into_iter().flat_map(corpus_tensors));
        checkpoint.progress.preprocessing = self.info.preprocessing.clone();
        let config = &mut checkpoint.progress.config;
        config.readout = self.config.readout;
        config.data = short_name(&config.data);
        if let Some(init) = &mut config.init {
            init.encoder = short_name(&init.encoder);
        }
        if let Some(distill) = &mut config.distill {
            distill.teacher_cache = None;
            distill.teachers.iter_mut().for_each(|teacher| teacher.encoder = short_name(&teacher.encoder));
        }
        Ok(checkpoint.to_bytes())
    }
}

/// The network of `checkpoint`, which was read from `path`.
///
/// The configuration tells how it was trained, the preprocessing which input it has now.
pub(super) fn network_of(checkpoint: &Checkpoint, path: &Path) -> Result<Network, RunError> {
    let config = &checkpoint.progress.config;
    let spec_error = |source| RunError::Spec { path: path.display().to_string(), source };
    let input = InputShape::of(&checkpoint.progress.preprocessing);
    let network = config.network().map_err(spec_error)?;
    let mut network = emptied(&network, input).map_err(RunError::input(path))?;
    network.parameters = network.from_named(&checkpoint.tensors).map_err(RunError::tensors(path))?;
    network.set_statistics(&checkpoint.tensors).map_err(RunError::tensors(path))?;
    // The map is fitted after the last step; before, the feature is the pooled values.
    if config.readout.dim.is_some() && (checkpoint.progress.finished || checkpoint.tensor(READOUT_WEIGHT).is_some()) {
        network.read_map(config.readout, &checkpoint.tensors).map_err(RunError::tensors(path))?;
    }
    Ok(network)
}

/// The identity of a trained encoder: see [`EncoderId`].
pub(super) fn identity(network: &Network, preprocessing: &Preprocessing) -> EncoderId {
    let hash = IdHash::new(toml::to_string(preprocessing).expect("preprocessing is plain TOML"));
    let hash = hash.bytes(toml::to_string(network.spec()).expect("a spec is plain TOML"));
    let tensors = [network.to_named(&network.parameters), network.statistics(), network.map_tensors()].concat();
    let add = |hash: IdHash, tensor: &NamedTensor| {
        hash.bytes(format!("\n{} {:?}\n", tensor.name, tensor.shape)).values(&tensor.data)
    };
    tensors.iter().fold(hash, add).finish()
}

impl HostEncoder for Run {
    fn info(&self) -> &HostEncoderInfo {
        &self.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        require_finite(&self.info, self.network.embed(&self.info.preprocessing.normalise(pixels)))
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at step {}, {}", self.info.name, self.step, self.info.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Method;
    use crate::pretrain::run_folder::CONFIG;

    #[test]
    fn errors_distinguish_a_missing_run_from_a_missing_or_foreign_checkpoint() {
        let temporary = tempfile::tempdir().unwrap();
        let error = |path: &Path| Run::load(path).unwrap_err();
        let absent = temporary.path().join("absent");
        assert!(matches!(error(temporary.path()), RunError::NoRun { .. }));
        assert!(matches!(error(&absent), RunError::NoRun { path } if path.ends_with("absent")));
        let path = temporary.path().join("run");
        RunFolder::create(&path, &PretrainConfig::new("phantoms", Method::Rotation)).unwrap();
        assert!(matches!(error(&path), RunError::NoCheckpoint { .. }));
        std::fs::write(path.join(CHECKPOINT), "not this").unwrap();
        assert!(matches!(error(&path), RunError::NotACheckpoint { .. }));
        std::fs::write(path.join(CONFIG), "epochs = \"many\"").unwrap();
        assert!(matches!(error(&path), RunError::Config { path, .. } if path.ends_with("config.toml")));
        // A file instead of a folder.
        std::fs::write(temporary.path().join("file"), "").unwrap();
        let config = PretrainConfig::new("phantoms", Method::Rotation);
        assert!(RunFolder::create(&temporary.path().join("file"), &config).is_err());
    }
}
