//! What a run is made of. Written as TOML into the run folder and into every checkpoint.

use macula_edge::image::SIDE_MAX;
use serde::{Deserialize, Serialize};

use crate::augment::{Augmentation, Policy};
use crate::data::ValueRange;
use crate::encoder::{EncoderSpec, InputShape, Preset, SpecError};
use crate::nn::optimiser::OptimiserKind;
use crate::objective::{Comparison, Freeze, Method, Objective, ObjectiveSettings, PROBE_LAYERS_MAX};

/// When health is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthGate {
    /// Not at all; nothing stops a run that collapsed.
    Never,
    /// After every epoch.
    #[default]
    Epoch,
}

impl HealthGate {
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// When the objective is measured on held-out images (`val` where the data set has it, otherwise `test`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validate {
    /// Not at all.
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
    /// Where it lies: the folder of a run, finished or not.
    pub encoder: String,
    /// SHA-256 of what decides its features (weights, running statistics, preprocessing), in hexadecimal: a path alone
    /// would not say what was started from.
    pub sha256: String,
}

/// A pretraining run as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// The data set: a path, or `phantoms[:SIZE[:COUNT]]`.
    pub data: String,
    /// What is minimised.
    pub method: Method,
    /// What is trained.
    pub encoder: Preset,
    /// 1 (grey) or 3 (colour); images of the other kind are converted.
    pub channels: usize,
    /// Side of the square network input, in pixels. Square, because a turned image must fit as well.
    pub size: usize,
    /// Passes over the training images.
    pub epochs: u64,
    /// Epochs after which the run had been finished before it was extended: the learning rate begins anew there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_at: Vec<u64>,
    /// Images a step. Rotation makes four network inputs of each.
    pub batch_size: usize,
    /// Seeds initialisation, shuffling, augmentation and `limit`.
    pub seed: u64,
    /// Trains on so many images only, drawn by seed; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Trains on so many labelled images of each class only, drawn by seed; a larger number takes those of a smaller one
    /// as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_class: Option<usize>,
    /// Largest learning rate, reached after warm-up.
    pub learning_rate: f32,
    /// Decoupled decay of weights (not of scales, shifts and biases): each step takes away
    /// `learning_rate * weight_decay` of a weight. At momentum 0.9 the usual 5e-4, where it is added to the
    /// gradient and so multiplied by 1 / (1 - 0.9), is 5e-3 here.
    pub weight_decay: f32,
    /// Share of all steps over which the learning rate rises; the first steps of an untrained
    /// network point anywhere, so they are kept short.
    pub warmup_fraction: f32,
    /// Share of the target spread evenly over the classes, 0 to 1.
    pub label_smoothing: f32,
    /// When held-out images are looked at.
    pub validate: Validate,
    /// A line of metrics every so many steps besides the one an epoch; 0 for none.
    pub metrics_steps: u64,
    /// A checkpoint every so many steps besides the one an epoch; 0 for none.
    pub checkpoint_steps: u64,
    /// What is drawn anew for every image in every epoch.
    pub augmentation: Augmentation,
    /// How the parameters move.
    pub optimiser: OptimiserKind,
    /// Network inputs whose activations are kept at once: a larger batch goes through in such chunks, each with its own
    /// batch statistics, and its loss still compares all. All at once where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<usize>,
    /// Share of the patches that masked-image modelling masks.
    #[serde(default = "usual_mask_share")]
    pub mask_share: f32,
    /// Settings of the methods that compare views.
    #[serde(default)]
    pub comparison: Comparison,
    /// Raw values that are black and white in the images; the natural range of their samples where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ValueRange>,
    /// When it is looked at whether the encoder collapsed. Changes what is told, never what is learnt.
    #[serde(default, skip_serializing_if = "HealthGate::is_usual")]
    pub health: HealthGate,
    /// The encoder to start from; random weights where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Keeps the encoder that the run starts from as it is, batch norm included, and trains a shallow network on its
    /// features; where absent all is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

/// Xie et al. 2022, arXiv:2111.09886, table 2: small patches do best when some 60 % are masked.
fn usual_mask_share() -> f32 {
    0.6
}

/// A setting that makes no run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A number is out of its range.
    #[error("{setting} is {value}, it must be {allowed}")]
    OutOfRange {
        /// Name of the field.
        setting: &'static str,
        /// What was asked for.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A setting without a default is not given.
    #[error("{setting} is not set; a new run needs data and method")]
    Missing {
        /// Name of the setting.
        setting: &'static str,
    },
    /// A setting does not exist or is of another type.
    #[error("{setting}: {reason}")]
    Invalid {
        /// Name of the setting.
        setting: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings are not TOML.
    #[error("not TOML: {reason}")]
    NotToml {
        /// What the parser found.
        reason: String,
    },
    /// The encoder does not take this input.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl PretrainConfig {
    /// A run with the settings that serve most: `nano` on 32×32 colour, 20 epochs of SGD.
    pub fn new(data: &str, method: Method) -> Self {
        let mut config = Self {
            data: data.to_owned(),
            method,
            encoder: Preset::Nano,
            channels: 3,
            size: 32,
            epochs: 20,
            extended_at: Vec::new(),
            batch_size: 128,
            seed: 1,
            limit: None,
            per_class: None,
            learning_rate: 0.0,
            weight_decay: 5e-3,
            warmup_fraction: 0.05,
            label_smoothing: 0.0,
            validate: Validate::End,
            metrics_steps: 50,
            checkpoint_steps: 0,
            augmentation: Policy::usual(method.is_contrastive()).augmentation(32),
            optimiser: OptimiserKind::SGD,
            chunk: None,
            mask_share: usual_mask_share(),
            comparison: method.info().comparison,
            range: None,
            health: HealthGate::default(),
            init: None,
            freeze: None,
        };
        if method.is_contrastive() {
            config.batch_size = 256;
        }
        config.learning_rate = config.usual_learning_rate();
        config
    }

    /// The largest learning rate that usually serves: 0.1 for SGD and 0.001 for AdamW at a batch of 128
    /// images, in proportion to the batch (Goyal et al. 2017, arXiv:1706.02677, section 2.1).
    ///
    /// The same for rotation: Gidaris et al. take 0.1 for 128 images in four turns as well.
    pub fn usual_learning_rate(&self) -> f32 {
        let at_128 = match self.optimiser {
            // Comparing views collapses more easily at high rates.
            OptimiserKind::Sgd { .. } if self.method.is_contrastive() => 0.06,
            OptimiserKind::Sgd { .. } => 0.1,
            OptimiserKind::AdamW { .. } => 1e-3,
        };
        at_128 * self.batch_size as f32 / 128.0
    }

    /// Side of the encoder's last activations; 0 where there is no such encoder.
    fn map_side(&self) -> usize {
        let shapes = self.spec().and_then(|spec| spec.shapes());
        shapes.ok().and_then(|shapes| shapes.last().map(|shape| shape.rows)).unwrap_or(0)
    }

    /// Whether every image must have a label.
    pub fn needs_labels(&self) -> bool {
        self.objective(0).needs_labels()
    }

    /// The network's graph.
    ///
    /// # Errors
    /// When the encoder does not take this input.
    pub fn spec(&self) -> Result<EncoderSpec, SpecError> {
        EncoderSpec::preset(self.encoder, InputShape { channels: self.channels, height: self.size, width: self.size })
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
            mask_share,
            channels,
            size,
            map_side,
        })
    }

    /// Checks every setting that can be checked without the data.
    ///
    /// # Errors
    /// The first setting out of its range.
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
        hold("epochs", self.epochs, "1 to 1000000", (1..=1_000_000).contains(&self.epochs))?;
        let parts = self.extended_at.iter().chain([&self.epochs]).collect::<Vec<_>>();
        let ascending = *parts[0] > 0 && parts.is_sorted_by(|a, b| a < b);
        hold("extended_at", format!("{:?}", self.extended_at), "ascending and below epochs", ascending)?;
        hold("batch_size", self.batch_size, "1 to 65536", (1..=65_536).contains(&self.batch_size))?;
        // TOML has no larger integers.
        hold("seed", self.seed, "at most 9223372036854775807", i64::try_from(self.seed).is_ok())?;
        hold("limit", self.limit.unwrap_or(1), "at least 1", self.limit != Some(0))?;
        hold("per_class", self.per_class.unwrap_or(1), "at least 1", self.per_class != Some(0))?;
        let both = self.per_class.is_some() && self.limit.is_some();
        hold("per_class", self.per_class.unwrap_or(0), "absent where there is a limit", !both)?;
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
        hold("mask_share", self.mask_share, "above 0 and below 1", self.mask_share > 0.0 && self.mask_share < 1.0)?;
        let tiled = !self.objective(0).reads_map() || self.size.is_multiple_of(self.map_side());
        hold("size", self.size, "a multiple of the side of the encoder's last activations", tiled)?;
        hold("chunk", self.chunk.unwrap_or(2), "at least 2", self.chunk.is_none_or(|chunk| chunk >= 2))?;
        let alone = self.method.is_contrastive() && self.batch_size < 2;
        hold("batch_size", self.batch_size, "at least 2 for a method that compares images", !alone)?;
        if let Some(Freeze { hidden, layers }) = self.freeze {
            hold("freeze.hidden", hidden, "1 to 65536", (1..=65_536).contains(&hidden))?;
            hold("freeze.layers", layers, "0 to 3", layers <= PROBE_LAYERS_MAX)?;
            let supervised = self.method == Method::Supervised;
            hold("freeze", "set", "absent unless the method is supervised", supervised)?;
            hold("freeze", "set", "absent unless init names an encoder to keep", self.init.is_some())?;
        }
        Ok(())
    }

    /// As TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a checked configuration is plain TOML")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_gives_back_the_same_run() {
        let mut config = PretrainConfig::new("phantoms", Method::Rotation);
        for (optimiser, limit) in [(OptimiserKind::SGD, None), (OptimiserKind::ADAM_W, Some(7))] {
            (config.optimiser, config.limit) = (optimiser, limit);
            config.learning_rate = config.usual_learning_rate() / 3.0;
            let text = config.to_toml();
            assert_eq!(toml::from_str::<PretrainConfig>(&text).unwrap(), config, "{text}");
        }
        (config.init, config.freeze) =
            (Some(Init { encoder: "run".into(), sha256: "ab".into() }), Some(Freeze::default()));
        (config.per_class, config.health) = (Some(20), HealthGate::Never);
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
        assert!(refused(|c| c.channels = 2).contains("2 channels"));
        assert!(refused(|c| c.size = 4).contains("4×4"));
        assert!(refused(|c| c.per_class = Some(0)).contains("per_class is 0"));
        assert!(refused(|c| (c.per_class, c.limit) = (Some(5), Some(9))).contains("per_class is 5"));
        assert!(refused(|c| c.freeze = Some(Freeze { hidden: 0, layers: 1 })).contains("freeze.hidden is 0"));
        assert!(refused(|c| c.freeze = Some(Freeze { hidden: 1, layers: 4 })).contains("freeze.layers is 4"));
        assert!(refused(|c| c.freeze = Some(Freeze::default())).contains("init"));
    }

    /// A file of a run that knew nothing of later settings.
    #[test]
    fn what_is_not_set_leaves_no_trace() {
        let config = PretrainConfig::new("phantoms", Method::Simclr);
        let text = config.to_toml();
        for name in ["health", "init", "freeze", "per_class"] {
            assert!(!text.contains(name), "{text}");
        }
        assert_eq!(toml::from_str::<PretrainConfig>(&text).unwrap(), config);
    }
}
