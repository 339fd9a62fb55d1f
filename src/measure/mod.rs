//! Metrics of features and predictions: k-NN probe, confusion matrix, confidence intervals, collapse of features; and the linear
//! map of a readout, fitted to features.
//!
//! Pure functions of numbers, independent of images and encoders. Training computes them after every epoch, evaluation
//! once.

mod calibration;
mod eigen;
mod features;
mod interval;
mod knn;
mod linear_map;
mod metrics;
mod projection;
mod retrieval;
mod roc;
mod selective;
mod spread;
mod uncertainty;

pub use crate::nn::cross_entropy::argmax_rows;
pub use calibration::{Bin, Calibration, softmax_rows};
pub use eigen::{Eigen, eigen};
pub(crate) use features::Moments;
pub use features::{Features, corpus_of, l2_normalize_rows};
pub use interval::{Interval, PairedDifference, Standing, wilson};
pub use knn::{KnnSettings, closest_others, knn_leave_one_out, knn_scores, nearest, nearest_others};
pub use linear_map::{FIT_IMAGES_MAX, FitError, fit_linear_map};
pub use metrics::{ConfusionMatrix, roc_auc, roc_auc_one_vs_rest};
pub use projection::{Projection, principal_components};
pub use retrieval::instance_retrieval;
pub use roc::roc_curve;
pub use selective::RiskCoverage;
pub use spread::{alignment, deviation, effective_rank, uniformity};
pub use uncertainty::uncertainty;
