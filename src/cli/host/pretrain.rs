//! `macula pretrain`: train an encoder into a run folder, or continue a run.

mod config_file;
mod figures;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::augment::Policy;
use crate::cli::failure::{Kind, check_failed};
use crate::cli::images::{EncoderRange, ImageArgs, RangeArg};
use crate::cli::progress::style;
use crate::cli::{Common, print_json};
use crate::data;
use crate::encoder::Preset;
use crate::encoders::open_run;
use crate::nn::optimiser::OptimiserKind;
use crate::objective::Miner;
use crate::pretrain::{
    EpochLine, Event, HealthGate, Init, Method, Observer, Options, Outcome, Positives, PretrainConfig, PretrainError,
    RunFolder, Validate, extend, pretrain,
};
use crate::report::text::{count, shown};
use config_file::ConfigFile;

/// Arguments of `macula pretrain`. What is left out keeps its default, or when resuming what the run has.
#[derive(clap::Args)]
#[command(after_help = "Example:
  macula pretrain --data cifar10 --method rotation --encoder nano --epochs 20 --seed 1 --out runs/cifar-rotation
  macula pretrain --resume --out runs/cifar-rotation
  macula pretrain --resume --epochs 40 --out runs/cifar-rotation
  macula pretrain --config runs/cifar-rotation/config.toml --seed 2 --out runs/cifar-rotation-2
  macula pretrain --data cifar10 --method supervised --init runs/cifar-rotation --freeze --out runs/cifar-probe

Ctrl-C ends the current step, writes a checkpoint and exits with code 130; --resume then ends in the same
bytes as an uninterrupted run. The epochs that extend a run have a learning rate of their own, from warm-up to zero. Exit code 3: training diverged, or the encoder collapsed (see --health).")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    images: ImageArgs,
    /// Images: a folder, .npz, CIFAR, IDX, a .csv manifest, phantoms[:SIZE[:COUNT]], or a mixture A+B (without labels; all
    /// images of a dataset that names no split)
    #[arg(long, required_unless_present_any = ["resume", "config"])]
    data: Option<String>,
    /// What is minimised: only supervised, and triplet with --positives labels, need labels
    #[arg(long, required_unless_present_any = ["resume", "config"])]
    method: Option<Method>,
    /// Settings of this file, as config.toml in the folder of a run has them; options given here count more
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// The run folder: new or empty, or that of the run to continue
    #[arg(long)]
    out: PathBuf,
    /// Continue the run in the folder; with more --epochs than it has, extend it once it is finished
    #[arg(long)]
    resume: bool,
    /// pico, nano, micro or mobile [default: nano]
    #[arg(long)]
    encoder: Option<Preset>,
    /// 1 (grey) or 3 (colour) [default: 1 where all images are grey, whatever they are stored as, else 3]
    #[arg(long)]
    channels: Option<usize>,
    /// Side of the square network input, in pixels [default: 32]
    #[arg(long)]
    size: Option<usize>,
    /// Passes over the images [default: 20]
    #[arg(long)]
    epochs: Option<u64>,
    /// Images a step [default: 128, or 256 where views are compared]
    #[arg(long, alias = "batch")]
    batch_size: Option<usize>,
    /// Train on so many images only, drawn by seed
    #[arg(long, alias = "limit", value_name = "N")]
    count: Option<usize>,
    /// Train on so many labelled images of each class only, drawn by seed
    #[arg(long, alias = "per-class", value_name = "N", conflicts_with = "count")]
    count_per_class: Option<usize>,
    /// Start from the encoder of this run; its preset, channels and size are the defaults then
    #[arg(long, value_name = "RUN")]
    init: Option<PathBuf>,
    /// Keep the encoder of --init as it is and train a shallow network on its features (--method supervised)
    #[arg(long)]
    freeze: bool,
    /// --freeze: units of a hidden layer [default: 200]
    #[arg(long)]
    probe_hidden: Option<usize>,
    /// --freeze: hidden layers, 0 to 3 [default: 2]
    #[arg(long)]
    probe_layers: Option<usize>,
    /// How parameters move [default: sgd]
    #[arg(long)]
    optimiser: Option<OptimiserName>,
    /// Largest learning rate [default: 0.1 (sgd) or 0.001 (adamw) times batch / 128]
    #[arg(long, alias = "lr")]
    learning_rate: Option<f32>,
    /// Decoupled weight decay [default: 0.005]
    #[arg(long)]
    weight_decay: Option<f32>,
    /// Share of the steps over which the learning rate rises [default: 0.05]
    #[arg(long, alias = "warmup")]
    warmup_fraction: Option<f32>,
    /// Share of the target spread over all classes [default: 0]
    #[arg(long)]
    label_smoothing: Option<f32>,
    /// Augmentations that go together [default: natural where views are compared, else light]
    #[arg(long)]
    policy: Option<Policy>,
    /// simclr and moco: the temperature [default: 0.5, moco 0.2]
    #[arg(long)]
    temperature: Option<f32>,
    /// triplet: the margin, of squared distances at unit length [default: 0.2]
    #[arg(long)]
    margin: Option<f32>,
    /// triplet: which triplets of a batch are looked at [default: semi-hard]
    #[arg(long)]
    miner: Option<Miner>,
    /// triplet: what is pulled together, views of one image or images of one label [default: views]
    #[arg(long)]
    positives: Option<Positives>,
    /// moco: keys of earlier images [default: 4096]
    #[arg(long)]
    queue: Option<usize>,
    /// moco: share of the key encoder that stays at each step [default: 0.999]
    #[arg(long)]
    key_momentum: Option<f32>,
    /// masked: share of the patches that are masked [default: 0.6]
    #[arg(long)]
    mask_share: Option<f32>,
    /// Network inputs whose activations are kept at once, for batches larger than memory [default: all]
    #[arg(long)]
    chunk: Option<usize>,
    /// Hidden units of the projection head [default: 256]
    #[arg(long)]
    projection_hidden: Option<usize>,
    /// Outputs of the projection head [default: 64]
    #[arg(long)]
    projection_dim: Option<usize>,
    /// Mirror every other image: true or false [default: as the policy has it]
    #[arg(long)]
    flip: Option<bool>,
    /// Pixels of reflected border before a random crop; 0 crops nothing [default: as the policy has it]
    #[arg(long)]
    crop_padding: Option<usize>,
    /// Measure the objective on held-out images (val, else test) [default: end]
    #[arg(long)]
    validate: Option<Validate>,
    /// Look whether the encoder collapsed, and stop with exit code 3 if it did [default: epoch]
    #[arg(long)]
    health: Option<HealthGate>,
    /// A line of metrics every so many steps; 0 for one an epoch [default: 50]
    #[arg(long)]
    metrics_steps: Option<u64>,
    /// A checkpoint every so many steps; 0 for one an epoch [default: 0]
    #[arg(long)]
    checkpoint_steps: Option<u64>,
    /// Threads; changes nothing but the time [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
    /// MiB of decoded images kept in memory
    #[arg(long, default_value_t = 512)]
    cache_mib: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OptimiserName {
    Sgd,
    Nesterov,
    Adamw,
}

/// Names on the command line for the library's own enums.
macro_rules! named {
    ($kind:ty: $($name:literal = $variant:expr),+) => {
        impl ValueEnum for $kind {
            fn value_variants<'a>() -> &'a [Self] {
                &[$($variant),+]
            }
            fn to_possible_value(&self) -> Option<PossibleValue> {
                let names = [$(($variant, $name)),+];
                names.iter().find(|(value, _)| value == self).map(|&(_, name)| PossibleValue::new(name))
            }
        }
    };
}
named!(Method: "rotation" = Method::Rotation, "supervised" = Method::Supervised, "simclr" = Method::Simclr,
    "triplet" = Method::Triplet, "moco" = Method::Moco, "masked" = Method::Masked);
named!(Validate: "never" = Validate::Never, "end" = Validate::End, "epoch" = Validate::Epoch);
named!(Policy: "none" = Policy::None, "light" = Policy::Light, "natural" = Policy::Natural, "medical" = Policy::Medical,
    "centred" = Policy::Centred);
named!(HealthGate: "never" = HealthGate::Never, "epoch" = HealthGate::Epoch);
named!(Miner: "all" = Miner::All, "batch-hard" = Miner::BatchHard, "semi-hard" = Miner::SemiHard);
named!(Positives: "views" = Positives::Views, "labels" = Positives::Labels);

/// Trains, and tells how it ended. When resuming, a seed counts only if it was given.
pub fn run(args: Args, seed_given: bool) -> anyhow::Result<()> {
    let mut config = args.config(seed_given)?;
    config.check()?;
    let stop = stop_on_signal()?;
    let data_name = args.data.as_deref().unwrap_or(&config.data);
    let mut dataset = data::open_named(data_name, config.seed)?;
    if !args.resume {
        args.images.prepare(&mut dataset, EncoderRange::Known(config.range), args.common.quiet)?;
        config.range = dataset.decode.range;
    }
    dataset.decode.range = config.range;
    if !args.resume {
        let (channels, grey) = dataset.channels(&dataset.train_indices());
        if args.channels.is_none() && args.init.is_none() {
            config.channels = channels;
        }
        // Where 1 channel was chosen there is nothing to suggest.
        dataset.remarks.extend(grey.filter(|_| config.channels == 3));
    }
    let options = Options { resume: args.resume, strict: args.images.strict, cache_bytes: args.cache_mib << 20 };
    let mut progress = Progress::new(args.common.quiet);
    for (name, reason) in &dataset.skipped {
        progress.event(Event::Skipped { name, reason });
    }
    for remark in &dataset.remarks {
        progress.say(format!("remark: {remark}"));
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.unwrap_or(0))
        .build()
        .context("cannot start the threads asked for with --threads")?;
    let outcome = pool.install(|| pretrain(&config, &dataset, &args.out, options, &mut progress, &stop));
    progress.bar.finish_and_clear();
    match outcome {
        Ok(Outcome::Finished { last, skipped }) => {
            report(&args, (config.method, &dataset.class_names), last.as_ref(), skipped)
        }
        Ok(Outcome::Interrupted { step }) => Err(interrupted(&args.out, step)),
        Err(error @ (PretrainError::NotFinite { .. } | PretrainError::Collapsed { .. })) => Err(check_failed(error)),
        Err(error) => Err(error.into()),
    }
}

fn interrupted(out: &Path, step: u64) -> anyhow::Error {
    let out = out.display();
    Kind::Interrupted.error(format!("stopped after step {step}; continue with: macula pretrain --resume --out {out}"))
}

/// Raised by Ctrl-C or a request to terminate; a second one ends the program at once.
pub(super) fn stop_on_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}

impl Args {
    /// The run asked for: a new one, or the one in the folder.
    fn config(&self, seed_given: bool) -> anyhow::Result<PretrainConfig> {
        if self.resume {
            let mut stored = RunFolder::open(&self.out)?.1;
            if let Some(epochs) = self.epochs.filter(|&epochs| epochs != stored.epochs) {
                self.check_same(&PretrainConfig { epochs, ..stored }, seed_given)?;
                stored = extend(&self.out, epochs)?;
            }
            self.check_same(&stored, seed_given)?;
            return Ok(PretrainConfig { health: self.health.unwrap_or(stored.health), ..stored });
        }
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
        let has = |key: &str| file.as_ref().is_some_and(|file| file.has(key));
        let data = self.data.clone().or_else(|| file.as_ref().and_then(ConfigFile::data));
        let method = match (self.method, &file) {
            (None, Some(file)) => file.method()?,
            (given, _) => given,
        };
        let (Some(data), Some(method)) = (data, method) else {
            anyhow::bail!("a new run needs data and a method: --data and --method, or both in the file of --config");
        };
        let mut start = PretrainConfig::new(&data, method);
        if let Some(file) = &file {
            start = file.over(&start)?;
        }
        if seed_given || !has("seed") {
            start.seed = self.common.seed;
        }
        if let Some(path) = &self.init {
            let run = open_run(&path.to_string_lossy())?;
            (start.encoder, start.channels, start.size) = (run.config.encoder, run.config.channels, run.config.size);
            start.range = run.info.preprocessing.range;
            start.init = Some(Init { encoder: path.display().to_string(), sha256: run.info.id.to_string() });
        }
        let mut config = self.overlaid(start, has("augmentation"));
        if self.learning_rate.is_none() && !has("learning_rate") {
            config.learning_rate = config.usual_learning_rate();
        }
        Ok(config)
    }

    /// Refuses settings that are given and are not those of the run that is to be continued.
    fn check_same(&self, stored: &PretrainConfig, seed_given: bool) -> anyhow::Result<()> {
        // Data may have moved, and a default seed says nothing; all else must be what it was.
        let mut asked = self.overlaid(stored.clone(), true);
        asked.data.clone_from(&stored.data);
        asked.health = stored.health;
        if let (Some(path), Some(init)) = (&self.init, &stored.init) {
            let sha256 = open_run(&path.to_string_lossy())?.info.id.to_string();
            // The encoder may have moved as well, as long as it is the same.
            asked.init = Some(Init { encoder: init.encoder.clone(), sha256 });
        }
        if seed_given {
            asked.seed = self.common.seed;
        }
        anyhow::ensure!(
            asked == *stored,
            "{}: the run was begun with other settings; leave them out to continue it",
            self.out.display()
        );
        Ok(())
    }

    /// `config` with every setting that was given.
    ///
    /// * `has_augmentation`: whether its augmentation was chosen, and is not the usual one of a method
    fn overlaid(&self, mut config: PretrainConfig, has_augmentation: bool) -> PretrainConfig {
        fn set<T: Clone>(place: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                place.clone_from(value);
            }
        }
        set(&mut config.data, &self.data);
        set(&mut config.method, &self.method);
        set(&mut config.encoder, &self.encoder);
        set(&mut config.channels, &self.channels);
        set(&mut config.size, &self.size);
        set(&mut config.epochs, &self.epochs);
        set(&mut config.batch_size, &self.batch_size);
        set(&mut config.optimiser, &self.optimiser.map(OptimiserKind::from));
        set(&mut config.learning_rate, &self.learning_rate);
        set(&mut config.weight_decay, &self.weight_decay);
        set(&mut config.warmup_fraction, &self.warmup_fraction);
        set(&mut config.label_smoothing, &self.label_smoothing);
        // A new run's policy is known by its method; that of a run to be continued is in its folder, or in a file.
        let usual = (!has_augmentation).then(|| Policy::usual(config.method.is_contrastive()));
        if let Some(policy) = self.policy.or(usual) {
            config.augmentation = policy.augmentation(config.size);
        }
        let comparison = &mut config.comparison;
        set(&mut comparison.temperature, &self.temperature);
        set(&mut comparison.margin, &self.margin);
        set(&mut comparison.miner, &self.miner);
        set(&mut comparison.positives, &self.positives);
        set(&mut comparison.queue, &self.queue);
        set(&mut comparison.key_momentum, &self.key_momentum);
        set(&mut comparison.projection_hidden, &self.projection_hidden);
        set(&mut comparison.projection_dim, &self.projection_dim);
        set(&mut config.augmentation.flip, &self.flip);
        set(&mut config.augmentation.crop_padding, &self.crop_padding);
        set(&mut config.validate, &self.validate);
        set(&mut config.metrics_steps, &self.metrics_steps);
        set(&mut config.checkpoint_steps, &self.checkpoint_steps);
        set(&mut config.mask_share, &self.mask_share);
        // A range that is measured is not known before the images are; a run that goes on has it in its folder.
        if let Some(RangeArg::Stated(range)) = self.images.given() {
            config.range = Some(range);
        }
        config.chunk = self.chunk.or(config.chunk);
        config.limit = self.count.or(config.limit);
        config.per_class = self.count_per_class.or(config.per_class);
        set(&mut config.health, &self.health);
        if self.freeze {
            config.freeze.get_or_insert_default();
        }
        if let Some(freeze) = &mut config.freeze {
            set(&mut freeze.hidden, &self.probe_hidden);
            set(&mut freeze.layers, &self.probe_layers);
        }
        config
    }
}

impl From<OptimiserName> for OptimiserKind {
    fn from(name: OptimiserName) -> Self {
        match name {
            OptimiserName::Sgd => Self::SGD,
            OptimiserName::Nesterov => Self::Sgd { momentum: 0.9, nesterov: true },
            OptimiserName::Adamw => Self::ADAM_W,
        }
    }
}

/// The progress bar on standard error.
pub(super) struct Progress {
    bar: ProgressBar,
    quiet: bool,
    images_a_step: u64,
}

impl Progress {
    /// Shows nothing where `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { bar: ProgressBar::hidden(), quiet, images_a_step: 0 }
    }

    fn start(&mut self, template: &str, len: u64) {
        if !self.quiet {
            self.bar = ProgressBar::new(len);
            self.bar.set_style(style(template));
        }
    }

    fn say(&self, text: String) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Reading { done, of } => {
                if self.bar.length() != Some(of as u64) {
                    self.start("reading  {bar:30} {human_pos}/{human_len} images  {rate}  {eta} left", of as u64);
                }
                self.bar.set_position(done as u64);
            }
            Event::Skipped { name, reason } => self.say(format!("left out: {}: {}", shown(name), shown(reason))),
            Event::Started { step, steps, images, batch_size } => {
                self.images_a_step = batch_size as u64;
                self.bar.finish_and_clear();
                self.say(format!("training on {}, {} of {batch_size}", count(images, "image"), count(steps, "step")));
                let template = "training {bar:30} {human_pos}/{human_len} images  {rate}  {eta} left  {msg}";
                self.start(template, steps * self.images_a_step);
                self.bar.set_position(step * self.images_a_step);
                self.bar.reset_eta();
            }
            Event::Step(line) => {
                self.bar.set_message(format!("epoch {} loss {:.4}", line.epoch, line.loss));
                self.bar.set_position(line.step * self.images_a_step);
            }
            Event::Epoch(line) => {
                let held_out = line
                    .held_out
                    .as_ref()
                    .map_or(String::new(), |score| format!("  held out {}", figures::of_score(score)));
                self.say(format!("epoch {:>3}  train {}{held_out}", line.epoch, figures::of_score(&line.train)));
                if let Some(health) = &line.health {
                    self.say(format!("           features {}", figures::of_health(health)));
                }
            }
            Event::Warning(text) => self.say(format!("warning: {}", shown(text))),
        }
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    run: String,
    skipped: usize,
    #[serde(flatten)]
    last: Option<&'a EpochLine>,
}

fn report(
    args: &Args,
    (method, class_names): (Method, &[String]),
    last: Option<&EpochLine>,
    skipped: usize,
) -> anyhow::Result<()> {
    let run = args.out.display().to_string();
    if args.common.json {
        return print_json(&Summary { run, skipped, last });
    }
    match last {
        None => println!("{}: was finished before", shown(&run)),
        Some(line) => {
            println!("{}: {}, {}", shown(&run), count(line.epoch, "epoch"), count(line.step, "step"));
            println!("train     {}", figures::of_score(&line.train));
            if let Some(score) = &line.held_out {
                println!("held out  {}", figures::of_score(score));
                // Turns of rotation and the one answer of other objectives are no classes of the data.
                if method == Method::Supervised {
                    println!("          recall ↑ {}", figures::of_recall(&score.recall, class_names));
                }
            }
            if let Some(health) = &line.health {
                println!("features  {}", figures::of_health(health));
            }
        }
    }
    if skipped > 0 {
        println!("left out  {}", count(skipped, "unreadable image"));
    }
    Ok(())
}
