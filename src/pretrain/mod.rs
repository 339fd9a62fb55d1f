//! Pretraining: from images to a run folder with a trained encoder.
//!
//! A run is a function of its configuration and its data: the same seed gives the same bytes in
//! `checkpoint.safetensors` and `metrics.jsonl`, whatever the number of threads and however often it
//! was interrupted and resumed. Whatever a clock says goes to `timings.jsonl` instead.

mod batch;
mod checkpoint;
mod config;
mod learner;
mod metrics;
mod momentum;
mod run;
mod train_loop;
mod training_set;

pub use checkpoint::{Checkpoint, Progress};
pub use config::{Comparison, ConfigError, Method, Positives, PretrainConfig, Validate};
pub use learner::Learner;
pub use metrics::{EpochLine, Score, StepLine, Tally};
pub use run::{CHECKPOINT, CONFIG, METRICS, Run, RunError, RunFolder, TIMINGS};
pub use train_loop::{Event, Observer, Options, Outcome, PretrainError, Silent, pretrain};
