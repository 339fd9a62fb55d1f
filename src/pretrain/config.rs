//! What a run is made of. Written as TOML into the run folder and into every checkpoint.

use macula_edge::image::SIDE_MAX;
use serde::{Deserialize, Serialize};

use crate::augment::Augmentation;
use crate::encoder::{EncoderSpec, InputShape, Preset, SpecError};
use crate::nn::optimiser::OptimiserKind;
use crate::objective::{Objective, Rotation, Supervised};

/// What pretraining minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Which of four quarter turns was the image given? Needs no labels.
    Rotation,
    /// Which class does the label name?
    Supervised,
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
    /// Passes over the training images. The learning rate falls over all of them, so a run cannot be prolonged.
    pub epochs: u64,
    /// Images a step. Rotation makes four network inputs of each.
    pub batch_size: usize,
    /// Seeds initialisation, shuffling, augmentation and `limit`.
    pub seed: u64,
    /// Trains on so many images only, drawn by seed; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
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
            batch_size: 128,
            seed: 1,
            limit: None,
            learning_rate: 0.0,
            weight_decay: 5e-3,
            warmup_fraction: 0.05,
            label_smoothing: 0.0,
            validate: Validate::End,
            metrics_steps: 50,
            checkpoint_steps: 0,
            augmentation: Augmentation { flip: true, crop_padding: 4 },
            optimiser: OptimiserKind::SGD,
        };
        config.learning_rate = config.usual_learning_rate();
        config
    }

    /// The largest learning rate that usually serves: 0.1 for SGD and 0.001 for AdamW at a batch of 128
    /// images, in proportion to the batch (Goyal et al. 2017, arXiv:1706.02677, section 2.1).
    ///
    /// The same for rotation: Gidaris et al. take 0.1 for 128 images in four turns as well.
    pub fn usual_learning_rate(&self) -> f32 {
        let at_128 = match self.optimiser {
            OptimiserKind::Sgd { .. } => 0.1,
            OptimiserKind::AdamW { .. } => 1e-3,
        };
        at_128 * self.batch_size as f32 / 128.0
    }

    /// The network's graph.
    ///
    /// # Errors
    /// When the encoder does not take this input.
    pub fn spec(&self) -> Result<EncoderSpec, SpecError> {
        EncoderSpec::preset(self.encoder, InputShape { channels: self.channels, height: self.size, width: self.size })
    }

    /// The objective, for a data set of `num_classes` classes.
    pub fn objective(&self, num_classes: usize) -> Box<dyn Objective> {
        match self.method {
            Method::Rotation => Box::new(Rotation::new(self.label_smoothing)),
            Method::Supervised => Box::new(Supervised::new(num_classes, self.label_smoothing)),
        }
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
        hold("batch_size", self.batch_size, "1 to 65536", (1..=65_536).contains(&self.batch_size))?;
        // TOML has no larger integers.
        hold("seed", self.seed, "at most 9223372036854775807", i64::try_from(self.seed).is_ok())?;
        hold("limit", self.limit.unwrap_or(1), "at least 1", self.limit != Some(0))?;
        let rate = self.learning_rate;
        hold("learning_rate", rate, "above 0 and at most 100", rate > 0.0 && rate <= 100.0)?;
        hold("weight_decay", self.weight_decay, "0 to 1", unit(self.weight_decay))?;
        hold("warmup_fraction", self.warmup_fraction, "0 to 1", unit(self.warmup_fraction))?;
        hold("label_smoothing", self.label_smoothing, "0 to 1", unit(self.label_smoothing))?;
        let padding = self.augmentation.crop_padding;
        hold("crop_padding", padding, "less than the size", padding < self.size)?;
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
    }
}
