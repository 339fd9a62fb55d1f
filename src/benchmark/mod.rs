//! A table of several encoders over several tasks: few-shot accuracy with the device's head, beside floors and cost.
//!
//! The protocol: supports and queries come from the test split, disjoint, by group where the dataset has groups. Features are
//! centred and scaled by the training split without its labels. Episodes are the same for every encoder, so differences are
//! paired. Tasks have a role: choices are made on *development* tasks, *report* tasks are measured and never chosen by.

mod averages; //    means over tasks, domains and roles
mod card; //        figures of an encoder for its model card
mod contender; //   an encoder of the table, per task
mod cost; //        multiply-accumulates, parameters, time, bytes per support
mod csv; //         the table as CSV
mod error; //       errors
mod figures; //     the figures of an encoder on a task, kept between calls
mod measure; //     measures all encoders on a task
mod rows; //        rows of the table, compared
mod task; //        the file of tasks
mod task_images; // the images of a task

pub use averages::{Average, averages};
pub use card::card;
pub use contender::Contender;
pub use cost::EncoderCost;
pub use csv::csv;
pub use error::BenchmarkError;
pub use figures::Figures;
pub use measure::{Benchmark, OpenEncoder, Settings};
pub use rows::{Difference, Row, Seen, compare_with};
pub use task::{Role, Task, read_tasks};
