//! The steps of advice, within the given time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::advice::{Advice, Training};
use super::candidates::{Candidate, candidates};
use super::commands::commands;
use super::compare::{Comparison, Figures};
use super::error::AdviseError;
use super::images::{ImagesFound, Sample};
use super::recommendation::{TRAINING_IMAGES_MIN, decide, start};
use super::sentences::sentences;
use super::trial::{self, Speed, Trial};
use crate::data::{DataError, Dataset};
use crate::encoders::{Baseline, EncoderInput, OpenOptions, open};
use crate::evaluate::PairedDifference;
use crate::models::Model;
use crate::pretrain::{PretrainConfig, fit};

/// Shares of the time: to read the sample, and until no further encoder is measured.
const READING_SHARE: f64 = 0.1;
const COMPARING_SHARE: f64 = 0.5;
/// Share of the time at which the trial ends; the rest is for its evaluation.
const TRIAL_SHARE: f64 = 0.85;

/// Fewest sampled images, however slowly they are read.
const SAMPLED_MIN: usize = 64;

/// What advice is asked for.
pub struct Session<'a> {
    /// The dataset as the user names it, for the commands.
    pub data: &'a str,
    /// Opens the dataset; called for the trial again.
    pub open: &'a dyn Fn() -> Result<Dataset, DataError>,
    /// The shipped encoders.
    pub models: &'a [Model],
    /// Time to spend, in seconds. Single steps may exceed it: the first encoder is always measured.
    pub seconds: f64,
    /// Seeds samples, views, episodes and the trial.
    pub seed: u64,
    /// Time since some start.
    pub clock: &'a dyn Fn() -> Duration,
    /// Raised to stop.
    pub stop: &'a AtomicBool,
    /// Receives a line about each piece of work.
    pub say: &'a dyn Fn(&str),
}

impl Session<'_> {
    /// Measures, and gives the advice.
    ///
    /// # Errors
    /// See [`AdviseError`].
    pub fn run(&self) -> Result<Advice, AdviseError> {
        let begun = (self.clock)();
        let spent = || ((self.clock)() - begun).as_secs_f64();
        let dataset = (self.open)()?;
        (self.say)("reading images");
        let images = ImagesFound::of(&dataset, self.clock)?;
        let most = READING_SHARE * self.seconds * 1e3 / images.read_ms.max(1e-3);
        let sample = Sample::of(&dataset, (most as usize).max(SAMPLED_MIN))?;
        let comparison = Comparison::new(&dataset, &sample, self.seed);
        let (encoders, not_measured) = self.compare(&comparison, &images, &spent)?;
        let start = start(&encoders);
        let (mut speed, mut trial, mut training) = (None, None, None);
        if let Some(name) = start.encoder() {
            let config = trial::config(name, self.data, self.seed)?;
            speed = self.speed(&config, &sample)?;
            training = speed.map(|speed| training_of(&config, &images, speed));
            let before = encoders.iter().find(|figures| figures.encoder == name);
            if let (Some(speed), Some(before), false) = (speed, before, comparison.shots().is_empty())
                && images.training_images >= TRAINING_IMAGES_MIN
            {
                trial = self.trial(&config, &comparison, before, (speed, TRIAL_SHARE * self.seconds - spent()))?;
            }
        }
        let recommendation = decide(start, &images, trial.as_ref());
        let mut advice = Advice {
            data: self.data.to_owned(),
            images,
            sampled: [sample.train.len(), sample.test.len()],
            remarks: sample.leaks.episode_remarks(self.data),
            shots: comparison.shots(),
            encoders,
            not_measured,
            speed,
            training,
            trial,
            recommendation,
            sentences: Vec::new(),
            commands: Vec::new(),
        };
        (advice.sentences, advice.commands) = (sentences(&advice), commands(&advice));
        Ok(advice)
    }

    /// The figures of the floors and of the shipped encoders, cheapest first, as long as there is time.
    fn compare(
        &self,
        comparison: &Comparison<'_>,
        images: &ImagesFound,
        spent: &dyn Fn() -> f64,
    ) -> Result<(Vec<Figures>, Vec<String>), AdviseError> {
        let mut figures = Vec::new();
        for name in Baseline::FLOORS {
            self.check_stop()?;
            let (dataset, unlabelled) = (comparison.dataset, &comparison.sample.train[..]);
            let (height, width) = (Baseline::FLOOR_SIDE, Baseline::FLOOR_SIDE);
            let fit = EncoderInput { dataset, unlabelled, channels: images.channels, height, width };
            let options = OpenOptions { fit: Some(fit), seed: self.seed, ..OpenOptions::default() };
            let encoder = open(name, &options)?.encoder;
            figures.push(comparison.figures(name, true, &*encoder, self.clock)?);
        }
        // Seconds and multiply-accumulates of the encoder before, to foresee the time of the next.
        let mut before: Option<(f64, u64)> = None;
        let mut not_measured = Vec::new();
        for Candidate { name, macs, .. } in candidates(self.models, images)? {
            self.check_stop()?;
            let foreseen =
                before.map_or(0.0, |(seconds, known)| seconds * (macs as f64 / known.max(1) as f64).max(1.0));
            if before.is_some() && spent() + foreseen > COMPARING_SHARE * self.seconds {
                not_measured.push(name);
                continue;
            }
            (self.say)(&format!("measuring {name}"));
            let since = spent();
            let encoder = open(&name, &OpenOptions::default())?.encoder;
            figures.push(comparison.figures(&name, false, &*encoder, self.clock)?);
            before = Some((spent() - since, macs));
        }
        Ok((figures, not_measured))
    }

    fn speed(&self, config: &PretrainConfig, sample: &Sample) -> Result<Option<Speed>, AdviseError> {
        (self.say)("timing training steps");
        let (config, dataset) = self.training_data(config, sample)?;
        let folder = tempfile::tempdir().map_err(AdviseError::Folder)?;
        trial::speed(&config, &dataset, &folder.path().join("run"), self.clock, self.stop)
    }

    fn trial(
        &self,
        config: &PretrainConfig,
        comparison: &Comparison<'_>,
        before: &Figures,
        (speed, seconds): (Speed, f64),
    ) -> Result<Option<Trial>, AdviseError> {
        (self.say)(&format!("training for {:.0} s, to see whether it helps", seconds.max(0.0)));
        let (config, dataset) = self.training_data(config, comparison.sample)?;
        let folder = tempfile::tempdir().map_err(AdviseError::Folder)?;
        let run = folder.path().join("run");
        let Some(steps) = trial::train(&config, &dataset, &run, (speed, seconds), self.stop)? else { return Ok(None) };
        let encoder = open(&run.to_string_lossy(), &OpenOptions::default())?.encoder;
        let after = comparison.figures("trial", false, &*encoder, self.clock)?;
        let change = PairedDifference::of_episodes(&after.of_episodes(), &before.of_episodes());
        Ok(Some(Trial { steps, images: dataset.len(), change }))
    }

    /// The sampled training images, and the configuration to train on them.
    fn training_data(
        &self,
        config: &PretrainConfig,
        sample: &Sample,
    ) -> Result<(PretrainConfig, Dataset), AdviseError> {
        let mut dataset = (self.open)()?;
        trial::only(&mut dataset, &sample.train);
        let config = PretrainConfig { range: dataset.decode.range, ..config.clone() };
        Ok((config, dataset))
    }

    fn check_stop(&self) -> Result<(), AdviseError> {
        if self.stop.load(Ordering::Relaxed) { Err(AdviseError::Interrupted) } else { Ok(()) }
    }
}

/// What `pretrain` fits to all training images, at the measured speed.
fn training_of(config: &PretrainConfig, images: &ImagesFound, speed: Speed) -> Training {
    let (PretrainConfig { batch_size, epochs, .. }, _) = fit(config, images.training_images);
    let per_epoch = (images.training_images / batch_size).max(1) as u64;
    // The timed batch may be smaller; time grows with the images.
    let seconds_per_image = speed.seconds_per_step / speed.batch_size as f64;
    Training { batch_size, epochs, seconds: (epochs * per_epoch) as f64 * batch_size as f64 * seconds_per_image }
}
