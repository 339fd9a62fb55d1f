//! Pretraining: from images to a run folder with a trained encoder.
//!
//! A run is a function of its configuration and its data: the same seed gives the same bytes in
//! `checkpoint.safetensors` and `metrics.jsonl`, for any number of threads and interruptions. Times are in
//! `timings.jsonl`.

mod batch;
mod budget;
mod checkpoint;
mod collapse;
mod config;
mod error;
mod extend;
mod features;
mod fit;
mod health;
mod learner;
mod limits;
mod memory;
mod metrics;
mod observer;
mod options;
mod prefetch;
mod prepare;
mod quality;
mod rank_checks;
#[cfg(test)]
mod rank_tests;
mod resolved;
mod refit;
mod run;
mod run_error;
mod run_folder;
mod sampling;
mod settings;
mod teacher;
mod tile_settings;
mod train_loop;
mod training_images;
mod training_set;
mod transfer;
mod view_order;
mod weight_average;

pub use crate::objective::{Comparison, Distillation, Freeze, Method, Positives, Teacher, TeacherView};
pub use checkpoint::{Checkpoint, Kept, Progress};
pub use collapse::{Collapse, collapse};
pub use config::{ConfigError, HealthGate, Init, Keep, PretrainConfig, Sampling, TrainOn, Validate};
pub use error::PretrainError;
pub use extend::extend;
pub use fit::fit;
pub use learner::Learner;
pub use memory::{MemoryError, MemoryModel, TrainingMemory};
pub use metrics::{EpochLine, Health, Quality, Score, StepLine, Tally, TimingLine};
pub use observer::{Embedded, Event, FewSteps, Observer, Silent, SlowInput};
pub use options::Options;
pub use prepare::{pretrain, pretrain_taught};
pub use refit::RefitError;
pub use resolved::{Budget, BudgetError, Fitted};
pub use run::Run;
pub use run_error::RunError;
pub use run_folder::{CHECKPOINT, CONFIG, METRICS, RunFolder, TIMINGS, WEIGHTS};
pub use settings::Settings;
pub use teacher::{OpenFailure, OpenTeacher, TeacherError, Teachers};
pub use train_loop::Outcome;
pub use training_images::{Earlier, TRAINING_IMAGES, TrainingImages};
