//! Data care: what to look at in a dataset before trusting a figure on it.
//!
//! Near-duplicates within and across splits, labels that the rest of the dataset contradicts, and images unlike all others.
//! All are candidates for a person to look at: nothing is removed or changed. The thresholds are measured in
//! `tests/leak/care_figures.rs`, and `docs/datasets.md` explains them.

mod error; //           errors
mod examine; //         all findings of a dataset
mod findings; //        what was found, as plain values
mod labels; //          labels that the other images contradict
mod near_duplicates; // images that are nearly equal
mod unlike; //          images far from all others

pub use error::CareError;
pub use examine::{Subject, examine};
pub use findings::{
    DuplicateGroup, Findings, ImageName, LabelFindings, Link, SuspiciousLabel, UnlikeFindings, UnlikeImage,
};
pub use labels::{Doubt, doubts, out_of_fold};
pub use near_duplicates::{FEATURE_SIMILARITY_MIN, links};
pub use unlike::{NEIGHBOURS, distances, threshold};
