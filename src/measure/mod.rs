//! What features and answers are worth, as numbers: k-NN, balanced accuracy, and how features are spread.
//!
//! Everything here is a function of what it is given; images and encoders are looked at elsewhere. Training asks these
//! questions after every epoch, evaluation once.

mod features;
mod interval;
mod knn;
mod metrics;
mod spread;

pub(crate) use features::Moments;
pub use features::{Features, corpus_of, l2_normalize_rows};
pub use interval::{Interval, PairedDifference, Standing};
pub use knn::{KnnSettings, knn_leave_one_out, knn_scores, nearest};
pub use metrics::{ConfusionMatrix, roc_auc, roc_auc_one_vs_rest};
pub use spread::{alignment, deviation, effective_rank, uniformity};

/// The class with the greatest of `scores` `[N, num_classes]`, the first of those that tie: `[N]`.
pub fn predictions(scores: &[f64], num_classes: usize) -> Vec<usize> {
    let greatest =
        |row: &[f64]| (1..num_classes).fold(0, |best, class| if row[class] > row[best] { class } else { best });
    scores.chunks(num_classes).map(greatest).collect()
}
