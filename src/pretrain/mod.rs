//! Pretraining: from images to a run folder with a trained encoder.
//!
//! A run is a function of its configuration and its data: the same seed gives the same bytes in
//! `checkpoint.safetensors` and `metrics.jsonl`, whatever the number of threads and however often it
//! was interrupted and resumed. Whatever a clock says goes to `timings.jsonl` instead.

mod batch;
mod checkpoint;
mod config;
mod error;
mod extend;
mod frozen;
mod health;
mod learner;
mod metrics;
mod momentum;
mod observer;
mod plain;
mod run;
mod run_error;
mod run_folder;
mod settings;
mod train_loop;
mod trained;
mod training_images;
mod training_set;
mod transfer;

pub use checkpoint::{Checkpoint, Progress};
pub use config::{Comparison, ConfigError, Method, Positives, PretrainConfig, Validate};
pub use error::PretrainError;
pub use extend::extend;
pub use health::{Collapse, Health, HealthGate, collapse};
pub use learner::Learner;
pub use metrics::{EpochLine, Score, StepLine, Tally};
pub use observer::{Event, Observer, Silent};
pub use run::Run;
pub use run_error::RunError;
pub use run_folder::{CHECKPOINT, CONFIG, METRICS, RunFolder, TIMINGS};
pub use settings::Settings;
pub use train_loop::{Options, Outcome, pretrain};
pub use trained::trained;
pub use training_images::{Earlier, TRAINING_IMAGES, TrainingImages};
pub use transfer::{Freeze, Init};
