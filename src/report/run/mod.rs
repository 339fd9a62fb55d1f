//! The report of a training run, `report.html`, and the comparison of several runs.
//!
//! A [`Reporter`] collects pictures while the run trains, in `report.json`, and draws the report from the files of the run folder:
//! `config.toml`, `metrics.jsonl`, `timings.jsonl`, `report.json`, and `parity.json` if there is one. So a report can be drawn
//! again at any time ([`report`]).

mod comparison;
mod page;
mod pictures;
mod plots;
mod record;
mod reporter;
mod tsne;

pub use comparison::{RUNS_MAX, compare};
pub use page::report;
pub use pictures::PICTURES;
pub use record::RunRecord;
pub use reporter::{REPORT, Reporter, When};
