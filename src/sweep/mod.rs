//! Sweeps: the same training with several settings, and one table of what its encoders are worth on tasks.
//!
//! A sweep is a file of base settings, variations and seeds. Every run is an ordinary run folder, named after its settings
//! and the digest of its configuration. A finished run is recognised by this name and its configuration and not trained
//! again; results are cached beside the runs. The same file therefore gives the same table, however often it was stopped.
//!
//! Choices must not be made on the tasks whose figures are reported, so such tasks are left out.

mod error;
mod measure;
mod plan;
mod runs;
mod table;

pub use error::SweepError;
pub use measure::{Evaluation, ShotFigures, TaskResult, Tasks};
pub use plan::{Plan, Variant};
pub use runs::{Ended, Results, Sweep};
pub use table::summary;
