//! Options of `macula pretrain` as settings of a run. Names, defaults and checks are those of the library.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Serialize;

use super::teachers::TeacherOpener;
use crate::augment::Policy;
use crate::cli::host::readout::ReadoutArgs;
use crate::cli::images::{ImageArgs, RangeArg};
use crate::data::TileSpec;
use crate::encoder::{Algorithm, Precision, Preset};
use crate::encoders::open_run;
use crate::files::{TEXT_MAX, read_bounded};
use crate::nn::optimiser::OptimiserKind;
use crate::objective::Miner;
use crate::pretrain::{
    Budget, HealthGate, Init, Keep, Method, Positives, PretrainConfig, RunFolder, Sampling, Settings, TeacherView,
    TrainOn, Validate, extend,
};

/// Options that are settings, by their names in `config.toml`. Those left out keep their defaults.
#[derive(clap::Args, Serialize)]
pub struct SettingArgs {
    /// Dataset: a folder, .npz, CIFAR, IDX, .csv manifest, phantoms[:SIZE[:COUNT]], or a mixture A+B without labels (all images
    /// of a dataset without splits); FOLDER/* stands for all folders in it
    #[arg(long, required_unless_present_any = ["resume", "config"])]
    pub data: Option<String>,
    /// Objective; supervised, and triplet with --positives labels, need labels
    #[arg(long, required_unless_present_any = ["resume", "config"])]
    method: Option<Method>,
    /// Encoder preset: pico, nano, micro or mobile [default: nano]
    #[arg(long, value_name = "PRESET")]
    encoder: Option<Preset>,
    /// Input channels: 1 (grey) or 3 (colour) [default: 1 if all images are grey, else 3]
    #[arg(long, value_name = "N")]
    pub channels: Option<usize>,
    /// Side of the square input in pixels [default: 32]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Passes over the images [default: 20, or more for a small set, until a contrastive method has 1000 steps (300 with --init)]
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Time for the run instead of --epochs, such as 90m or 2h: some steps are timed and discarded, and the epochs that fit are
    /// stored as the setting of the run, so that a resumed or repeated run gives the same bytes
    #[arg(long, value_name = "TIME", conflicts_with = "epochs")]
    budget: Option<Budget>,
    /// Images per step [default: 128; 256 for simclr, triplet and moco; down to 32 for a set of less than 20 batches]
    #[arg(long, alias = "batch", value_name = "N")]
    batch_size: Option<usize>,
    /// Leave out these sources: parts of a mixture, or folders of a folder of sources
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    without: Option<Vec<String>>,
    /// How often sources are visited: each image once per epoch, or each source in proportion to the square root of its number
    /// of images, in epochs of the same length [default: uniform]
    #[arg(long)]
    sampling: Option<Sampling>,
    /// Train on random tiles of large images at these scales, in pixels of the image per pixel of the input, instead of whole
    /// images: SCALE[+SCALE…][,empty=LEVELS]
    #[arg(long, value_name = "TILES")]
    tiles: Option<TileSpec>,
    /// With --tiles: random tiles of each image per epoch [default: 1]
    #[arg(long, value_name = "N")]
    tiles_per_image: Option<usize>,
    /// Train on N images, drawn by seed
    #[arg(long = "count", alias = "limit", value_name = "N")]
    limit: Option<usize>,
    /// Train on N labelled images per class, drawn by seed
    #[arg(long = "count-per-class", alias = "per-class", value_name = "N", conflicts_with = "limit")]
    per_class: Option<usize>,
    /// Optimiser [default: sgd]
    #[arg(long)]
    optimiser: Option<OptimiserKind>,
    /// Peak learning rate [default: 0.1 (sgd; 0.06 for simclr, triplet and moco), 0.001 (adamw) or 0.15 (lars), times batch size / 128]
    #[arg(long, alias = "lr", value_name = "RATE")]
    learning_rate: Option<f32>,
    /// Decoupled weight decay [default: 0.005]
    #[arg(long, value_name = "DECAY")]
    weight_decay: Option<f32>,
    /// Weights that the run ends with: of the last epoch, or of the epoch with the best measure that needs no labels. With --init
    /// the initial weights stay if no epoch is better [default: last]
    #[arg(long, value_name = "EPOCH")]
    keep: Option<Keep>,
    /// Encoder: average of the weights over steps, an EMA with this decay, such as 0.999 [default: weights of the last step]
    #[arg(long, value_name = "DECAY")]
    weight_average: Option<f32>,
    /// Fraction of the steps over which the learning rate rises [default: 0.05]
    #[arg(long, alias = "warmup", value_name = "FRACTION")]
    warmup_fraction: Option<f32>,
    /// Fraction of the target that is spread over all classes [default: 0]
    #[arg(long, value_name = "FRACTION")]
    label_smoothing: Option<f32>,
    /// Masked: fraction of the patches that are masked [default: 0.6]
    #[arg(long, value_name = "FRACTION")]
    mask_share: Option<f32>,
    /// Process a batch that exceeds memory in chunks of N network inputs [default: the whole batch]
    #[arg(long, value_name = "N")]
    chunk: Option<usize>,
    /// Precision of the products in convolutions; bf16 is faster where the CPU has AMX or AVX512-BF16 [default: f32]
    #[arg(long)]
    precision: Option<Precision>,
    /// How 3×3 convolutions in f32 are computed [default: winograd]
    #[arg(long, value_name = "ALGORITHM")]
    convolution: Option<Algorithm>,
    /// Under mpirun: take the statistics of batch norm over the images of all ranks [default: of each rank alone]
    #[arg(long, num_args = 0, default_missing_value = "true")]
    sync_batch_norm: Option<bool>,
    /// Measure the objective on held-out images (val, or test without val) [default: end]
    #[arg(long, value_name = "WHEN")]
    validate: Option<Validate>,
    /// Check whether the encoder collapsed, and stop with exit code 3 if it did [default: epoch]
    #[arg(long, value_name = "WHEN")]
    pub health: Option<HealthGate>,
    /// Write metrics every N steps; 0: every epoch [default: 50]
    #[arg(long, value_name = "N")]
    metrics_steps: Option<u64>,
    /// Write a checkpoint every N steps; 0: every epoch [default: 0]
    #[arg(long, value_name = "N")]
    checkpoint_steps: Option<u64>,
    #[command(flatten)]
    readout: ReadoutArgs,
    /// What the objective reads: the means of the last layer, or the readout before its linear map [default: mean]
    #[arg(long, value_name = "WHAT")]
    train_on: Option<TrainOn>,
    #[command(flatten)]
    comparison: ComparisonArgs,
    #[command(flatten)]
    distill: DistillArgs,
}

/// Options of the methods that compare views.
#[derive(clap::Args, Serialize)]
struct ComparisonArgs {
    /// SimCLR and MoCo: temperature [default: 0.1 for simclr without --init, else 0.2]
    #[arg(long)]
    temperature: Option<f32>,
    /// Triplet: margin between squared distances of unit vectors [default: 0.2]
    #[arg(long)]
    margin: Option<f32>,
    /// Triplet: which triplets of a batch count [default: semi-hard]
    #[arg(long)]
    miner: Option<Miner>,
    /// Triplet: positives are views of one image, or images of one label [default: views]
    #[arg(long)]
    positives: Option<Positives>,
    /// MoCo: length of the queue of keys [default: 4096]
    #[arg(long, value_name = "N")]
    queue: Option<usize>,
    /// MoCo: decay of the EMA (key) encoder per step [default: 0.999]
    #[arg(long, value_name = "DECAY")]
    key_momentum: Option<f32>,
    /// Hidden units of the projection head [default: 256]
    #[arg(long, value_name = "N")]
    projection_hidden: Option<usize>,
    /// Outputs of the projection head [default: 64]
    #[arg(long, value_name = "N")]
    projection_dim: Option<usize>,
}

/// Options of distillation.
#[derive(clap::Args, Serialize)]
struct DistillArgs {
    /// Distill: the teacher sees the student's view, or the plain image (one feature per image) [default: same]
    #[arg(long, value_name = "VIEW")]
    teacher_view: Option<TeacherView>,
    /// Distill: views per image that the teacher sees; epochs train on them in turn [default: 4]
    #[arg(long, value_name = "N")]
    teacher_views: Option<usize>,
    /// Distill: principal components that a teacher's features are reduced to; 0: all dimensions [default: 256]
    #[arg(long, value_name = "N")]
    teacher_dim: Option<usize>,
    /// Distill: hidden units of the head that predicts a teacher's feature [default: 512]
    #[arg(long, value_name = "N")]
    teacher_hidden: Option<usize>,
    /// Distill: weight of SimReg, the squared distance to the teacher's feature [default: 1]
    #[arg(long, value_name = "WEIGHT")]
    simreg_weight: Option<f32>,
    /// Distill: weight of SEED, similarities to a queue of teacher features as the teacher has them [default: 0]
    #[arg(long, value_name = "WEIGHT")]
    seed_weight: Option<f32>,
    /// Distill: weight of SimCLR's loss of two views [default: 0]
    #[arg(long, value_name = "WEIGHT")]
    simclr_weight: Option<f32>,
    /// SEED: temperature of the teacher's similarities [default: 0.01]
    #[arg(long, value_name = "TEMPERATURE")]
    teacher_temperature: Option<f32>,
    /// SEED: temperature of the student's similarities [default: 0.2]
    #[arg(long, value_name = "TEMPERATURE")]
    student_temperature: Option<f32>,
    /// Distill: keep teacher features in this folder, for other runs to use [default: the run folder]
    #[arg(long, value_name = "FOLDER")]
    teacher_cache: Option<PathBuf>,
}

/// Options that change several settings, or that depend on others.
#[derive(clap::Args)]
pub struct DerivedArgs {
    /// Start from the encoder of this run or shipped model; its preset, channels, size and readout become the defaults
    #[arg(long, value_name = "RUN")]
    pub init: Option<PathBuf>,
    /// Freeze the encoder of --init and train a small network on its features (--method supervised)
    #[arg(long)]
    freeze: bool,
    #[command(flatten)]
    probe: ProbeArgs,
    /// Augmentation policy [default: natural for simclr, triplet and moco, else light]
    #[arg(long)]
    policy: Option<Policy>,
    /// Flip every other image horizontally [default: set by the policy]
    #[arg(long, value_name = "BOOL")]
    flip: Option<bool>,
    /// Pixels of reflected border before a random crop; 0: no crop [default: set by the policy]
    #[arg(long, value_name = "PIXELS")]
    crop_padding: Option<usize>,
    /// Smallest area of a random resized crop, as a share of the image; 0: no such crop [default: set by the policy]
    #[arg(long, value_name = "SHARE")]
    crop_area_min: Option<f32>,
}

#[derive(clap::Args, Serialize)]
struct ProbeArgs {
    /// With --freeze: units of a hidden layer [default: 200]
    #[arg(long = "probe-hidden", value_name = "N")]
    hidden: Option<usize>,
    /// With --freeze: hidden layers, 0 to 3 [default: 2]
    #[arg(long = "probe-layers", value_name = "N")]
    layers: Option<usize>,
}

/// Names on the command line for enums of the library.
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
    "triplet" = Method::Triplet, "moco" = Method::Moco, "masked" = Method::Masked, "distill" = Method::Distill);
named!(TeacherView: "same" = TeacherView::Same, "plain" = TeacherView::Plain);
named!(OptimiserKind: "sgd" = Self::SGD, "nesterov" = Self::Sgd { momentum: 0.9, nesterov: true },
    "adamw" = Self::ADAM_W, "lars" = Self::LARS);
named!(Validate: "never" = Validate::Never, "end" = Validate::End, "epoch" = Validate::Epoch);
named!(Policy: "none" = Policy::None, "light" = Policy::Light, "natural" = Policy::Natural, "medical" = Policy::Medical,
    "centred" = Policy::Centred);
named!(HealthGate: "never" = HealthGate::Never, "epoch" = HealthGate::Epoch);
named!(Keep: "last" = Keep::Last, "best" = Keep::Best);
named!(Sampling: "uniform" = Sampling::Uniform, "sqrt" = Sampling::Sqrt);
named!(Precision: "f32" = Precision::F32, "bf16" = Precision::Bf16);
named!(Algorithm: "direct" = Algorithm::Direct, "winograd" = Algorithm::Winograd);
named!(TrainOn: "mean" = TrainOn::Mean, "readout" = TrainOn::Readout);
named!(Miner: "all" = Miner::All, "batch-hard" = Miner::BatchHard, "semi-hard" = Miner::SemiHard);
named!(Positives: "views" = Positives::Views, "labels" = Positives::Labels);

/// All that decides the configuration of a run.
pub struct RunOptions<'a> {
    pub settings: &'a SettingArgs,
    pub derived: &'a DerivedArgs,
    pub teachers: TeacherOpener<'a>,
    pub images: &'a ImageArgs,
    pub seed: u64,
    /// Whether the seed was given, and is not the default.
    pub seed_given: bool,
}

impl RunOptions<'_> {
    /// The configuration of a new run: options over the settings of `file` over the defaults.
    pub fn new_run(&self, file: Option<&Path>) -> anyhow::Result<PretrainConfig> {
        let mut settings = file.map_or_else(|| Ok(Settings::default()), read)?;
        if self.seed_given || !settings.has("seed") {
            settings.set("seed", &self.seed);
        }
        if let Some(path) = &self.derived.init {
            let run = open_run(&path.to_string_lossy())?;
            settings.start_from(&path.to_string_lossy(), &run);
        }
        let is_frozen = settings.has("freeze");
        settings.extend(self.given(is_frozen));
        settings.extend(self.teachers.settings()?);
        Ok(self.augmented(settings.new_run()?))
    }

    /// The configuration of the run in `folder`, which is extended if `--epochs` is higher.
    ///
    /// # Errors
    /// When a setting is given that differs from that of the run.
    pub fn resumed(&self, folder: &Path) -> anyhow::Result<PretrainConfig> {
        let mut stored = RunFolder::open(folder)?.1;
        if let Some(epochs) = self.settings.epochs.filter(|&epochs| epochs != stored.epochs) {
            self.check_same(&PretrainConfig { epochs, ..stored }, folder)?;
            stored = extend(folder, epochs)?;
        }
        self.check_same(&stored, folder)?;
        stored.health = self.settings.health.unwrap_or(stored.health);
        if let Some(distill) = &mut stored.distill {
            let given = self.settings.distill.teacher_cache.as_ref().map(|folder| folder.display().to_string());
            distill.teacher_cache = given.or_else(|| distill.teacher_cache.take());
            // A teacher that moved is opened where it is now.
            for (teacher, name) in distill.teachers.iter_mut().zip(self.teachers.names) {
                teacher.encoder.clone_from(name);
            }
        }
        Ok(stored)
    }

    fn check_same(&self, stored: &PretrainConfig, folder: &Path) -> anyhow::Result<()> {
        let mut given = self.given(stored.freeze.is_some());
        given.extend(self.teachers.settings()?);
        let mut requested = self.augmented(given.over(stored)?);
        // The data may have moved, and the default seed was not requested.
        requested.data.clone_from(&stored.data);
        requested.health = stored.health;
        if let (Some(path), Some(init)) = (&self.derived.init, &stored.init) {
            // The encoder may have moved as well, as long as it is the same.
            let sha256 = open_run(&path.to_string_lossy())?.info.id.to_string();
            requested.init = Some(Init { encoder: init.encoder.clone(), sha256 });
        }
        if let (Some(requested), Some(stored)) = (&mut requested.distill, &stored.distill) {
            // Teachers and their features may have moved as well.
            requested.teacher_cache.clone_from(&stored.teacher_cache);
            for (teacher, stored) in requested.teachers.iter_mut().zip(&stored.teachers) {
                teacher.encoder.clone_from(&stored.encoder);
            }
        }
        if self.seed_given {
            requested.seed = self.seed;
        }
        anyhow::ensure!(
            requested == *stored,
            "{}: the run has other settings; leave the options out to continue it",
            folder.display()
        );
        Ok(())
    }

    /// The given settings; those of a frozen encoder only if the encoder is frozen.
    fn given(&self, is_frozen: bool) -> Settings {
        let mut settings = Settings::of(self.settings);
        if self.derived.freeze || is_frozen {
            settings.set("freeze", &self.derived.probe);
        }
        // A range that is to be measured is not known before the images are.
        if let Some(RangeArg::Stated(range)) = self.images.given() {
            settings.set("range", &range);
        }
        if let Some(given) = self.images.dicom_given() {
            settings.set("dicom", &given);
        }
        settings
    }

    /// `config` with the augmentation options, which depend on its size.
    fn augmented(&self, mut config: PretrainConfig) -> PretrainConfig {
        let DerivedArgs { policy, flip, crop_padding, crop_area_min, .. } = self.derived;
        if let Some(policy) = policy {
            config.augmentation = policy.augmentation(config.size);
        }
        config.augmentation.flip = flip.unwrap_or(config.augmentation.flip);
        config.augmentation.crop_padding = crop_padding.unwrap_or(config.augmentation.crop_padding);
        config.augmentation.crop_area_min = crop_area_min.unwrap_or(config.augmentation.crop_area_min);
        config
    }
}

/// Reads settings and checks their names and types, so that an error names the file.
fn read(path: &Path) -> anyhow::Result<Settings> {
    let text = String::from_utf8(read_bounded(path, TEXT_MAX)?);
    let checked = text.map_err(anyhow::Error::from).and_then(|text| {
        let settings = Settings::parse(&text)?;
        settings.over(&PretrainConfig::new("", Method::Rotation))?;
        Ok(settings)
    });
    checked.with_context(|| path.display().to_string())
}
