//! The configuration of a run, stored as TOML in the run folder and in every checkpoint.

use macula_edge::image::SIDE_MAX;
use serde::{Deserialize, Serialize};

use super::resolved::{Budget, Fitted};
use super::tile_settings;
use crate::augment::{Augmentation, CutOut, Noise, Policy};
use crate::data::{self, DataError, Dataset, DicomReading, TileSpec, ValueRange, short_name};
use crate::encoder::{
    Algorithm, EncoderSpec, InputShape, Network, Pooling, Precision, Preset, Readout, SpecError, TeacherId,
};
use crate::nn::optimiser::OptimiserKind;
use crate::objective::{
    Comparison, Distillation, Freeze, Method, Objective, ObjectiveSettings, PROBE_LAYERS_MAX, TeacherView,
};

/// Most epochs of a run.
pub(super) const EPOCHS_MAX: u64 = 1_000_000;

/// When the health of the encoder is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthGate {
    /// Never; a collapse does not stop the run.
    Never,
    /// After every epoch.
    #[default]
    Epoch,
}

impl HealthGate {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What the objective reads of the encoder, never through the readout's linear map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainOn {
    /// The mean over pixels of the last value.
    #[default]
    Mean,
    /// The pooled values of the readout.
    Readout,
}

impl TrainOn {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How often the sources of a dataset are visited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// Each image once per epoch.
    #[default]
    Uniform,
    /// Each source in proportion to the square root of its number of images.
    Sqrt,
}

impl Sampling {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which epoch's weights a run ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Those of the last epoch.
    #[default]
    Last,
    /// Those of the epoch with the best measure that needs no labels, or the initial weights if none is better.
    Best,
}

impl Keep {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// When the objective is measured on held-out images (split `val` if the dataset has it, otherwise `test`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validate {
    /// Never.
    Never,
    /// Once, after the last epoch.
    End,
    /// After every epoch.
    Epoch,
}

/// The encoder that a run starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// The folder of a run, finished or not, or another name that `Run::load` takes.
    pub encoder: String,
    /// SHA-256 of weights, running statistics and preprocessing, in hexadecimal: the content of the folder can change.
    pub sha256: String,
}

/// The configuration of a pretraining run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// The dataset: a path, or `phantoms[:SIZE[:COUNT]]`.
    pub data: String,
    /// The objective.
    pub method: Method,
    /// The encoder that is trained.
    pub encoder: Preset,
    /// 1 (grey) or 3 (colour); images of the other kind are converted.
    pub channels: usize,
    /// Side of the square network input, in pixels. It is square so that rotated images fit.
    pub size: usize,
    /// Passes over the training images.
    pub epochs: u64,
    /// Time for the run on this machine. Before the first step it is resolved to the epochs that fit in it, and removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Settings that are fitted to the number of training images before the first step; then they are removed from this list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fit: Vec<Fitted>,
    /// Epochs at which the run was finished before it was extended; the learning rate schedule restarts there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_at: Vec<u64>,
    /// Images per step. Rotation makes four network inputs of each.
    pub batch_size: usize,
    /// Seeds initialisation, shuffling, augmentation and `limit`.
    pub seed: u64,
    /// From the encoder's values to the feature; the linear map is fitted at the end. Files of earlier versions state none, which
    /// is the mean.
    #[serde(default)]
    pub readout: Readout,
    /// What the objective reads.
    #[serde(default, skip_serializing_if = "TrainOn::is_default")]
    pub train_on: TrainOn,
    /// Sources of the dataset (parts of a mixture, folders) that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// How often the sources of the dataset are visited.
    #[serde(default, skip_serializing_if = "Sampling::is_default")]
    pub sampling: Sampling,
    /// Scales of random tiles, on which the encoder is trained instead of whole images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiles: Option<TileSpec>,
    /// Random tiles of an image per epoch; 1 without tiles.
    #[serde(default = "tile_settings::one", skip_serializing_if = "tile_settings::is_one")]
    pub tiles_per_image: usize,
    /// Number of training images, drawn by seed; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Number of labelled training images per class, drawn by seed; a larger number includes those of a smaller one. All images
    /// if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_class: Option<usize>,
    /// Largest learning rate, reached after warm-up.
    pub learning_rate: f32,
    /// Decoupled weight decay, of weights but not of scales, shifts and biases: each step subtracts `learning_rate * weight_decay`
    /// of a weight. 5e-3 corresponds to the usual 5e-4 of SGD with momentum 0.9, where the decay is added to the gradient
    /// and so multiplied by 1 / (1 - 0.9).
    pub weight_decay: f32,
    /// Share of all steps for the warm-up of the learning rate: the first gradients of an untrained network are unreliable.
    pub warmup_fraction: f32,
    /// Share of the target spread evenly over the classes, 0 to 1.
    pub label_smoothing: f32,
    /// When the objective is measured on held-out images.
    pub validate: Validate,
    /// Steps between two lines of metrics, besides one line per epoch; 0 for none.
    pub metrics_steps: u64,
    /// Steps between two checkpoints, besides one per epoch; 0 for none.
    pub checkpoint_steps: u64,
    /// Decay per step of the average of the weights that becomes the encoder, below 1; if absent, the encoder has the weights
    /// of the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_average: Option<f32>,
    /// Which epoch's weights become the encoder.
    #[serde(default, skip_serializing_if = "Keep::is_default")]
    pub keep: Keep,
    /// The augmentation of the training images.
    pub augmentation: Augmentation,
    /// The optimiser.
    pub optimiser: OptimiserKind,
    /// Largest number of network inputs whose activations are in memory. A larger batch is computed in chunks, each with its own
    /// batch statistics; the loss still covers the whole batch. No limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<usize>,
    /// Precision of the factors of dense convolutions.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// How 3×3 convolutions are computed. Files of earlier versions state none, which is `direct`.
    #[serde(default, skip_serializing_if = "Algorithm::is_default")]
    pub convolution: Algorithm,
    /// With several ranks: batch norm takes its statistics over the images of all ranks, and not of each rank alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sync_batch_norm: bool,
    /// Share of the patches that masked-image modelling masks.
    #[serde(default = "default_mask_share")]
    pub mask_share: f32,
    /// Settings of the methods that compare views.
    #[serde(default)]
    pub comparison: Comparison,
    /// Raw values that are black and white in the images; the natural range of their sample type if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ValueRange>,
    /// How DICOM files are read.
    #[serde(default, skip_serializing_if = "DicomReading::is_default")]
    pub dicom: DicomReading,
    /// When a collapse of the encoder is looked for. Does not change the weights.
    #[serde(default, skip_serializing_if = "HealthGate::is_default")]
    pub health: HealthGate,
    /// The encoder to start from; random weights if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Freezes the initial encoder, batch norm included, and trains a shallow network on its features. If absent, all is
    /// trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
    /// Teachers and losses of distillation; absent for other methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill: Option<Distillation>,
}

/// Xie et al. 2022, arXiv:2111.09886, table 2: for small patches about 60 % is best.
fn default_mask_share() -> f32 {
    0.6
}

/// A configuration is invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A value is out of range.
    #[error("{setting} is {value}, must be {allowed}")]
    OutOfRange {
        /// Name of the setting.
        setting: &'static str,
        /// The value found.
        value: String,
        /// The allowed range.
        allowed: &'static str,
    },
    /// A required setting is missing.
    #[error("{setting} is missing; a new run needs data and method")]
    Missing {
        /// Name of the setting.
        setting: &'static str,
    },
    /// A setting is unknown or has a value of the wrong type.
    #[error("{setting}: {reason}")]
    Invalid {
        /// Name of the setting.
        setting: String,
        /// The reason.
        reason: String,
    },
    /// The settings are not TOML.
    #[error("not TOML: {reason}")]
    NotToml {
        /// The message of the parser.
        reason: String,
    },
    /// The encoder does not take this input.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl PretrainConfig {
    /// The default run of a method: `nano` on 32×32 colour, 20 epochs of SGD.
    pub fn new(data: &str, method: Method) -> Self {
        let mut config = Self {
            data: data.to_owned(),
            method,
            encoder: Preset::Nano,
            channels: 3,
            size: 32,
            epochs: 20,
            budget: None,
            fit: Vec::new(),
            extended_at: Vec::new(),
            batch_size: 128,
            seed: 1,
            readout: Readout::pooled(Pooling::Grid),
            train_on: TrainOn::default(),
            without: Vec::new(),
            sampling: Sampling::default(),
            tiles: None,
            tiles_per_image: tile_settings::one(),
            limit: None,
            per_class: None,
            learning_rate: 0.0,
            weight_decay: 5e-3,
            warmup_fraction: 0.05,
            label_smoothing: 0.0,
            validate: Validate::End,
            metrics_steps: 50,
            checkpoint_steps: 0,
            augmentation: Policy::default_for(method.is_contrastive()).augmentation(32),
            optimiser: OptimiserKind::SGD,
            weight_average: None,
            keep: Keep::default(),
            chunk: None,
            precision: Precision::default(),
            convolution: Algorithm::Winograd,
            sync_batch_norm: false,
            mask_share: default_mask_share(),
            comparison: method.info().comparison,
            range: None,
            dicom: DicomReading::default(),
            health: HealthGate::default(),
            init: None,
            freeze: None,
            distill: method.needs_teachers().then(Distillation::default),
        };
        if method.is_contrastive() {
            config.batch_size = 256;
        }
        config.learning_rate = config.default_learning_rate();
        config
    }

    /// The default learning rate: 0.1 for SGD, 0.001 for AdamW and 0.15 for LARS at a batch of 128 images, in proportion to the batch size
    /// (Goyal et al. 2017, arXiv:1706.02677, section 2.1).
    ///
    /// Rotation has the same: Gidaris et al. also use 0.1 for 128 images in four rotations.
    pub fn default_learning_rate(&self) -> f32 {
        let at_128 = match self.optimiser {
            // Contrastive methods collapse more easily at a high learning rate.
            OptimiserKind::Sgd { .. } if self.method.is_contrastive() => 0.06,
            OptimiserKind::Sgd { .. } => 0.1,
            OptimiserKind::AdamW { .. } => 1e-3,
            // You et al. 2017 and Chen et al. 2020 (0.3 at 256 images).
            OptimiserKind::Lars { .. } => 0.15,
        };
        at_128 * self.batch_size as f32 / 128.0
    }

    /// Side of the encoder's last activations; 0 if the encoder does not take this input.
    fn map_side(&self) -> usize {
        let shapes = self.spec().and_then(|spec| spec.shapes());
        shapes.ok().and_then(|shapes| shapes.last().map(|shape| shape.rows)).unwrap_or(0)
    }

    /// The teachers of distillation, for the origin of an encoder.
    pub fn teachers(&self) -> Vec<TeacherId> {
        let teachers = self.distill.iter().flat_map(|distill| &distill.teachers);
        teachers
            .map(|teacher| TeacherId { name: short_name(&teacher.encoder), sha256: teacher.sha256.clone() })
            .collect()
    }

    /// Whether every training image needs a label.
    pub fn needs_labels(&self) -> bool {
        self.objective(0).needs_labels()
    }

    /// Opens the dataset `data`, usually that of the configuration, without the sources that the run leaves out. DICOM files
    /// are read as the configuration says.
    ///
    /// # Errors
    /// Those of [`data::open_named`], `Dataset::read_dicom` and [`Dataset::leave_out`].
    pub fn open_data(&self, data: &str) -> Result<Dataset, DataError> {
        let mut dataset = data::open_named(data, self.seed)?;
        #[cfg(feature = "dicom")]
        dataset.read_dicom(&self.dicom)?;
        dataset.leave_out(&self.without)?;
        Ok(dataset)
    }

    /// The network's graph and readout.
    ///
    /// # Errors
    /// When the encoder does not take this input, or the readout does not fit the encoder.
    pub fn spec(&self) -> Result<EncoderSpec, SpecError> {
        let input = InputShape { channels: self.channels, height: self.size, width: self.size };
        let spec = EncoderSpec { readout: self.readout, ..EncoderSpec::preset(self.encoder, input)? };
        spec.shapes()?;
        Ok(spec)
    }

    /// The network before its first step, without the linear map of its readout.
    ///
    /// # Errors
    /// As [`Self::spec`].
    pub fn network(&self) -> Result<Network, SpecError> {
        let mut network = Network::new(self.spec()?, self.seed)?;
        if self.train_on == TrainOn::Readout {
            network.train_on(self.readout.pooling);
        }
        Ok(network)
    }

    /// The objective, for a dataset of `num_classes` classes.
    pub fn objective(&self, num_classes: usize) -> Box<dyn Objective> {
        let Self { label_smoothing, freeze, comparison, mask_share, channels, size, .. } = *self;
        let map_side = self.map_side();
        (self.method.info().build)(&ObjectiveSettings {
            num_classes,
            label_smoothing,
            freeze,
            comparison,
            distillation: self.distill.clone(),
            mask_share,
            channels,
            size,
            map_side,
        })
    }

    /// Checks all settings that can be checked without the data.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        fn hold(
            setting: &'static str,
            value: impl ToString,
            allowed: &'static str,
            ok: bool,
        ) -> Result<(), ConfigError> {
            if ok { Ok(()) } else { Err(ConfigError::OutOfRange { setting, value: value.to_string(), allowed }) }
        }
        let unit = |x: f32| (0.0..=1.0).contains(&x);
        self.spec()?;
        hold("size", self.size, "at most 65535", self.size <= SIDE_MAX)?;
        hold("epochs", self.epochs, "1 to 1000000", (1..=EPOCHS_MAX).contains(&self.epochs))?;
        let parts = self.extended_at.iter().chain([&self.epochs]).collect::<Vec<_>>();
        let ascending = *parts[0] > 0 && parts.is_sorted_by(|a, b| a < b);
        hold("extended_at", format!("{:?}", self.extended_at), "ascending and below epochs", ascending)?;
        hold("batch_size", self.batch_size, "1 to 65536", (1..=65_536).contains(&self.batch_size))?;
        // The largest integer in TOML.
        hold("seed", self.seed, "at most 9223372036854775807", i64::try_from(self.seed).is_ok())?;
        hold("limit", self.limit.unwrap_or(1), "at least 1", self.limit != Some(0))?;
        hold("per_class", self.per_class.unwrap_or(1), "at least 1", self.per_class != Some(0))?;
        let both = self.per_class.is_some() && self.limit.is_some();
        hold("per_class", self.per_class.unwrap_or(0), "absent if limit is set", !both)?;
        let (is_frozen, is_taught) = (self.freeze.is_some(), self.distill.is_some());
        let tiles = tile_settings::out_of_range(self.tiles.as_ref(), self.tiles_per_image, is_frozen, is_taught);
        if let Some((setting, value, allowed)) = tiles {
            return Err(ConfigError::OutOfRange { setting, value, allowed });
        }
        let rate = self.learning_rate;
        hold("learning_rate", rate, "above 0 and at most 100", rate > 0.0 && rate <= 100.0)?;
        hold("weight_decay", self.weight_decay, "0 to 1", unit(self.weight_decay))?;
        hold("warmup_fraction", self.warmup_fraction, "0 to 1", unit(self.warmup_fraction))?;
        hold("label_smoothing", self.label_smoothing, "0 to 1", unit(self.label_smoothing))?;
        let padding = self.augmentation.crop_padding;
        hold("crop_padding", padding, "less than the size", padding < self.size)?;
        if let Some((setting, value, allowed)) = self.augmentation.out_of_range() {
            return Err(ConfigError::OutOfRange { setting, value, allowed });
        }
        let Comparison { temperature, margin, projection_hidden, projection_dim, .. } = self.comparison;
        hold("temperature", temperature, "0.001 to 100", (1e-3..=100.0).contains(&temperature))?;
        hold("margin", margin, "above 0 and below 4", margin > 0.0 && margin < 4.0)?;
        hold("projection_hidden", projection_hidden, "1 to 65536", (1..=65_536).contains(&projection_hidden))?;
        hold("projection_dim", projection_dim, "1 to 65536", (1..=65_536).contains(&projection_dim))?;
        let Comparison { queue, key_momentum, .. } = self.comparison;
        hold("queue", queue, "1 to 1048576", (1..=1 << 20).contains(&queue))?;
        hold("key_momentum", key_momentum, "0 to below 1", (0.0..1.0).contains(&key_momentum))?;
        if let Some(decay) = self.weight_average {
            hold("weight_average", decay, "0 to below 1", (0.0..1.0).contains(&decay))?;
            hold("weight_average", decay, "absent if freeze is set", self.freeze.is_none())?;
        }
        if self.keep == Keep::Best {
            hold("keep", "best", "last if freeze is set", self.freeze.is_none())?;
            let augmented = self.augmentation != Augmentation::NONE;
            hold("keep", "best", "last without augmentation, because views would be equal", augmented)?;
        }
        hold("mask_share", self.mask_share, "above 0 and below 1", self.mask_share > 0.0 && self.mask_share < 1.0)?;
        let maps = self.objective(0).reads_map() && self.train_on == TrainOn::Readout;
        hold("train_on", "readout", "mean for a method that reads the last activations", !maps)?;
        hold(
            "readout.whiten",
            "true",
            "absent unless readout.dim is set",
            !self.readout.whiten || self.readout.dim.is_some(),
        )?;
        let tiled = !self.objective(0).reads_map() || self.size.is_multiple_of(self.map_side());
        hold("size", self.size, "a multiple of the side of the encoder's last activations", tiled)?;
        hold("chunk", self.chunk.unwrap_or(2), "at least 2", self.chunk.is_none_or(|chunk| chunk >= 2))?;
        let alone = self.method.is_contrastive() && self.batch_size < 2;
        hold("batch_size", self.batch_size, "at least 2 for a method that compares images", !alone)?;
        let misplaced = self.distill.is_some() != self.method.needs_teachers();
        hold("distill", "set", "set for the method distill and absent for others", !misplaced)?;
        if let Some((setting, value, allowed)) = self.distill.as_ref().and_then(Distillation::out_of_range) {
            return Err(ConfigError::OutOfRange { setting, value, allowed });
        }
        // Noise draws a number per value, so that draws after it differ between the sizes of student and teacher.
        let Augmentation { noise, cut_out, .. } = self.augmentation;
        let is_same = self.distill.as_ref().is_some_and(|distill| distill.teacher_view == TeacherView::Same);
        let shifted = is_same && noise != Noise::NONE && cut_out != CutOut::NONE;
        hold("cut_out", cut_out.side, "absent with noise if the teacher sees the student's view", !shifted)?;
        if let Some(Freeze { hidden, layers }) = self.freeze {
            hold("freeze.hidden", hidden, "1 to 65536", (1..=65_536).contains(&hidden))?;
            hold("freeze.layers", layers, "0 to 3", layers <= PROBE_LAYERS_MAX)?;
            let supervised = self.method == Method::Supervised;
            hold("freeze", "set", "absent unless the method is supervised", supervised)?;
            hold("freeze", "set", "absent unless init names an encoder", self.init.is_some())?;
        }
        Ok(())
    }

    /// The configuration as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a checked configuration is plain TOML")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_restores_the_same_run() {
        let mut config = PretrainConfig::new("phantoms", Method::Rotation);
        for (optimiser, limit) in [(OptimiserKind::SGD, None), (OptimiserKind::ADAM_W, Some(7))] {
            (config.optimiser, config.limit) = (optimiser, limit);
            config.learning_rate = config.default_learning_rate() / 3.0;
            let text = config.to_toml();
            assert_eq!(toml::from_str::<PretrainConfig>(&text).unwrap(), config, "{text}");
        }
        (config.init, config.freeze) =
            (Some(Init { encoder: "run".into(), sha256: "ab".into() }), Some(Freeze::default()));
        (config.per_class, config.health) = (Some(20), HealthGate::Never);
        (config.readout, config.train_on) =
            (Readout { pooling: Pooling::Grid, dim: Some(9), whiten: true }, TrainOn::Readout);
        config.keep = Keep::Best;
        (config.budget, config.fit) = (Some("1h 30m".parse().unwrap()), vec![Fitted::BatchSize, Fitted::Epochs]);
        (config.precision, config.convolution) = (Precision::Bf16, Algorithm::Winograd);
        config.weight_average = Some(0.99);
        (config.without, config.sampling) = (vec!["a".into(), "b".into()], Sampling::Sqrt);
        assert_eq!(toml::from_str::<PretrainConfig>(&config.to_toml()).unwrap(), config);
        let text = config.to_toml().replace("batch_size", "batch_sise");
        assert!(toml::from_str::<PretrainConfig>(&text).is_err(), "an unknown field is an error");
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let good = PretrainConfig::new("phantoms", Method::Supervised);
        assert_eq!(good.check(), Ok(()));
        let refused = |change: fn(&mut PretrainConfig)| {
            let mut config = good.clone();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(refused(|c| c.epochs = 0).contains("epochs is 0"));
        assert!(refused(|c| c.batch_size = 0).contains("batch_size is 0"));
        assert!(refused(|c| c.seed = u64::MAX).contains("seed is 18446744073709551615"));
        assert!(refused(|c| c.limit = Some(0)).contains("limit"));
        assert!(refused(|c| c.learning_rate = f32::NAN).contains("learning_rate is NaN"));
        assert!(refused(|c| c.learning_rate = 0.0).contains("learning_rate is 0"));
        assert!(refused(|c| c.weight_decay = -1.0).contains("weight_decay is -1"));
        assert!(refused(|c| c.label_smoothing = 1.5).contains("label_smoothing is 1.5"));
        assert!(refused(|c| c.augmentation.crop_padding = 32).contains("crop_padding is 32"));
        assert!(refused(|c| c.weight_average = Some(1.0)).contains("weight_average is 1"));
        assert!(refused(|c| c.channels = 2).contains("2 channels"));
        assert!(refused(|c| c.size = 4).contains("4×4"));
        assert!(refused(|c| c.per_class = Some(0)).contains("per_class is 0"));
        assert!(refused(|c| (c.per_class, c.limit) = (Some(5), Some(9))).contains("per_class is 5"));
        assert!(refused(|c| c.freeze = Some(Freeze { hidden: 0, layers: 1 })).contains("freeze.hidden is 0"));
        assert!(refused(|c| c.freeze = Some(Freeze { hidden: 1, layers: 4 })).contains("freeze.layers is 4"));
        assert!(refused(|c| c.freeze = Some(Freeze::default())).contains("init"));
        assert!(refused(|c| c.readout.dim = Some(481)).contains("481"));
        assert!(refused(|c| c.readout.whiten = true).contains("readout.whiten"));
        assert!(refused(|c| (c.method, c.train_on) = (Method::Masked, TrainOn::Readout)).contains("train_on"));
    }

    /// Settings of later versions are written only if set, so that earlier configurations keep their bytes.
    #[test]
    fn settings_that_are_not_set_are_not_written() {
        let config = PretrainConfig::new("phantoms", Method::Simclr);
        let text = config.to_toml();
        for name in [
            "health",
            "init",
            "freeze",
            "per_class",
            "without",
            "sampling",
            "weight_average",
            "train_on",
            "budget",
            "fit",
            "keep",
            "tiles",
        ] {
            assert!(!text.contains(name), "{text}");
        }
        assert_eq!(toml::from_str::<PretrainConfig>(&text).unwrap(), config);
    }
}
