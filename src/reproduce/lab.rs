//! Shared parts of lessons: datasets, runs that are trained once, features.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::ReproduceError;
use super::tasks::{self, Task};
use crate::data::{Dataset, Preprocessing, Split, evenly_spread, open_named};
use crate::encoder::HostEncoder;
use crate::encoders::{EncoderInput, OpenOptions, open};
use crate::evaluate::{Features, Interval, KnnSettings, Labelled, embed_dataset, knn_probe, labels, readable};
use crate::pretrain::{
    CHECKPOINT, CONFIG, EpochLine, Event, HealthGate, Method, Observer, Options, Outcome, PretrainConfig, Run,
    RunError, RunFolder, pretrain,
};

/// The scale of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Phantoms, a few epochs, a few episodes: seconds.
    Short,
    /// Real images.
    Full,
}

/// Side of the input of the baselines, in pixels.
const BASELINE_SIDE: usize = 32;

/// Most references of an evaluation by k-NN: enough for an interval of about one point.
const KNN_REFERENCES_MAX: usize = 10_000;

/// Labelled images per class.
const SHOTS: [usize; 4] = [5, 10, 20, 50];

/// The environment of a lesson.
pub struct Lab<'a> {
    /// The folder of datasets; not needed by the short form.
    pub data: Option<PathBuf>,
    /// The output folder; runs are in `runs` below it.
    pub out: PathBuf,
    /// The scale.
    pub scale: Scale,
    /// The seed of every run and every draw.
    pub seed: u64,
    /// Raised to stop; trained runs are kept and used by the next call.
    pub stop: &'a AtomicBool,
    /// Receives the progress of training.
    pub observer: &'a mut dyn Observer,
    /// Receives a line about each piece of work.
    pub say: &'a dyn Fn(&str),
}

/// The images of a task.
pub struct Images {
    /// The dataset.
    pub dataset: Dataset,
    /// Readable images of the training split.
    pub train: Vec<usize>,
    /// Readable images of the test split.
    pub test: Vec<usize>,
}

impl Lab<'_> {
    /// `full`, or the task of the short form.
    pub fn task(&self, full: Task) -> Task {
        if self.scale == Scale::Full { full } else { tasks::PHANTOMS }
    }

    /// `full`, or the value for the short form.
    pub fn number<T>(&self, full: T, short: T) -> T {
        if self.scale == Scale::Full { full } else { short }
    }

    /// Opens the images of `task`.
    pub fn images(&self, task: &Task) -> Result<Images, ReproduceError> {
        let dataset = open_named(&self.path_of(task)?, self.seed)?;
        let part = |split| readable(&dataset, &dataset.indices(Some(split))).0;
        let (train, test) = (part(Split::Train), part(Split::Test));
        if train.is_empty() || test.is_empty() {
            return Err(ReproduceError::NoParts { data: dataset.name.clone() });
        }
        Ok(Images { dataset, train, test })
    }

    /// The path of the images of `task`.
    fn path_of(&self, task: &Task) -> Result<String, ReproduceError> {
        self.path(task.path)
    }

    /// The path of the dataset `path` in the folder of datasets.
    pub fn path(&self, path: &str) -> Result<String, ReproduceError> {
        if self.scale == Scale::Short {
            return Ok(path.to_owned());
        }
        let folder = self.data.as_ref().ok_or(ReproduceError::NoData)?;
        Ok(folder.join(path).display().to_string())
    }

    /// The numbers of labelled images per class.
    pub fn few_shots(&self) -> Vec<usize> {
        self.number(SHOTS.to_vec(), vec![5])
    }

    /// The run of `method` on `task`, which several lessons use.
    pub fn run_of(&mut self, task: &Task, images: &Images, method: Method) -> Result<Run, ReproduceError> {
        let config = self.config(task, method)?;
        let name = format!("{}-{}", task.name, method.name());
        if method == Method::Rotation && *task == self.task(tasks::CIFAR_10) {
            self.each_epoch(&name, &config, images)?;
        }
        self.run(&name, &config, images)
    }

    /// The configuration of that run.
    pub fn config(&self, task: &Task, method: Method) -> Result<PretrainConfig, ReproduceError> {
        let mut config = task.config(&self.path_of(task)?, method, self.seed);
        // A collapse is a result of a lesson, not an error.
        config.health = HealthGate::Never;
        if self.scale == Scale::Short {
            (config.batch_size, config.comparison.queue) = (config.batch_size.min(64), 256);
            config.learning_rate = config.default_learning_rate();
        }
        Ok(config)
    }

    /// The run `name`, which is trained or resumed unless it is finished.
    pub fn run(&mut self, name: &str, config: &PretrainConfig, images: &Images) -> Result<Run, ReproduceError> {
        let folder = self.folder(name);
        let resume = self.is_started(&folder, config)?;
        if resume
            && let Ok(run) = Run::load(&folder)
            && run.finished
        {
            return Ok(run);
        }
        (self.say)(&format!("training {name}"));
        let options = Options { resume, ..Options::default() };
        match pretrain(config, &images.dataset, &folder, options, self.observer, self.stop)? {
            Outcome::Finished { .. } => Ok(Run::load(&folder)?),
            Outcome::Interrupted { .. } => Err(ReproduceError::Interrupted),
        }
    }

    /// The run `name` after each of its epochs: run folders, and the line of each epoch.
    pub fn each_epoch(
        &mut self,
        name: &str,
        config: &PretrainConfig,
        images: &Images,
    ) -> Result<Vec<(PathBuf, EpochLine)>, ReproduceError> {
        let folder = self.folder(name);
        let kept = |epoch: u64| folder.join(format!("epoch-{epoch}"));
        let all_kept = || (1..=config.epochs).all(|epoch| kept(epoch).join(CHECKPOINT).exists());
        if self.is_started(&folder, config)? && !all_kept() && Run::load(&folder).is_ok_and(|run| run.finished) {
            return Err(ReproduceError::EpochsGone { folder: folder.display().to_string() });
        }
        while !all_kept() {
            let resume = self.is_started(&folder, config)?;
            (self.say)(&format!("training {name}, stopping after each epoch"));
            let stop = AtomicBool::new(false);
            let mut observer = StopAfterEpoch { stop: &stop, stop_all: self.stop, inner: self.observer, epoch: None };
            let options = Options { resume, ..Options::default() };
            pretrain(config, &images.dataset, &folder, options, &mut observer, &stop)?;
            let Some(epoch) = observer.epoch else { return Err(ReproduceError::Interrupted) };
            copy_run(&folder, &kept(epoch))?;
        }
        let lines = RunFolder::open(&folder)?.0.epochs()?;
        Ok((1..=config.epochs).map(kept).zip(lines).collect())
    }

    /// The lines of the epochs of the run `name`.
    pub fn lines_of(&self, name: &str) -> Result<Vec<EpochLine>, ReproduceError> {
        Ok(RunFolder::open(&self.folder(name))?.0.epochs()?)
    }

    /// Whether the run `name` is finished.
    pub fn is_finished(&self, name: &str) -> bool {
        Run::load(&self.folder(name)).is_ok_and(|run| run.finished)
    }

    /// The folder of the run `name`.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.out.join("runs").join(name)
    }

    /// Whether `folder` contains a run of this configuration.
    fn is_started(&self, folder: &Path, config: &PretrainConfig) -> Result<bool, ReproduceError> {
        match RunFolder::open(folder) {
            Err(RunError::NoRun { .. }) => Ok(false),
            Err(error) => Err(error.into()),
            // The images may have moved; a resumed run compares their names and digests.
            Ok((_, stored)) => {
                let same = PretrainConfig { data: config.data.clone(), health: config.health, ..stored };
                if same == *config {
                    Ok(true)
                } else {
                    Err(ReproduceError::OtherRun { folder: folder.display().to_string() })
                }
            }
        }
    }

    /// Raw pixels of `task` at 32 × 32 pixels.
    pub fn raw_pixels(&self, task: &Task, images: &Images) -> Result<Box<dyn HostEncoder>, ReproduceError> {
        self.baseline("raw-pixels", task, images, BASELINE_SIDE)
    }

    /// Colour statistics of `task` at 32 × 32 pixels.
    pub fn colour_statistics(&self, task: &Task, images: &Images) -> Result<Box<dyn HostEncoder>, ReproduceError> {
        self.baseline("colour-statistics", task, images, BASELINE_SIDE)
    }

    /// A random encoder with the input of `task`.
    pub fn random(&self, task: &Task, images: &Images) -> Result<Box<dyn HostEncoder>, ReproduceError> {
        let preset = self.config(task, Method::Supervised)?.encoder;
        self.baseline(&format!("random:{}", preset.name()), task, images, task.size)
    }

    fn baseline(
        &self,
        name: &str,
        task: &Task,
        images: &Images,
        side: usize,
    ) -> Result<Box<dyn HostEncoder>, ReproduceError> {
        let (dataset, unlabelled) = (&images.dataset, &images.train[..]);
        let fit = EncoderInput { dataset, unlabelled, channels: task.channels, height: side, width: side };
        let options = OpenOptions { fit: Some(fit), seed: self.seed, ..OpenOptions::default() };
        Ok(open(name, &options)?.encoder)
    }

    /// k-NN of `encoder` on all test images, with at most 10,000 training images as references.
    pub fn knn(&self, encoder: &dyn HostEncoder, images: &Images) -> Result<Knn, ReproduceError> {
        let references = evenly_spread(&images.train, KNN_REFERENCES_MAX);
        let labelled = |indices: &[usize]| -> Result<Labelled, ReproduceError> {
            let features = embed_dataset(encoder, &images.dataset, indices, &|_| ())?;
            Ok(Labelled { features, labels: labels(&images.dataset, indices)? })
        };
        let (references, queries) = (labelled(&references)?, labelled(&images.test)?);
        let found = knn_probe(&references, &queries, images.dataset.class_names.len(), KnnSettings::default());
        Ok(Knn { balanced_accuracy: found.balanced_accuracy, features: queries.features })
    }
}

/// Accuracy of k-NN, and the features of the test images.
pub struct Knn {
    /// Balanced accuracy.
    pub balanced_accuracy: Interval,
    /// Features of the test images.
    pub features: Features,
}

/// Preprocessing to `channels` and `size` × `size` pixels, with mean and deviation of the training split.
pub fn recipe(images: &Images, channels: usize, size: usize) -> Result<Preprocessing, ReproduceError> {
    Ok(Preprocessing::for_corpus(&images.dataset, &images.train, channels, size, size)?)
}

/// Copies the configuration and the checkpoint of `folder` to `copy`.
fn copy_run(folder: &Path, copy: &Path) -> Result<(), ReproduceError> {
    let failed = |source| ReproduceError::Keep { folder: copy.display().to_string(), source };
    std::fs::create_dir_all(copy).map_err(failed)?;
    for name in [CONFIG, CHECKPOINT] {
        let bytes = std::fs::read(folder.join(name)).map_err(failed)?;
        crate::files::write_atomic(&copy.join(name), &bytes)?;
    }
    Ok(())
}

/// Stops training after an epoch, or when `stop_all` is raised.
struct StopAfterEpoch<'a> {
    stop: &'a AtomicBool,
    stop_all: &'a AtomicBool,
    inner: &'a mut dyn Observer,
    epoch: Option<u64>,
}

impl Observer for StopAfterEpoch<'_> {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Epoch(line) = &event {
            self.epoch = Some(line.epoch);
        }
        if self.epoch.is_some() || self.stop_all.load(Ordering::Relaxed) {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.inner.event(event);
    }
}
