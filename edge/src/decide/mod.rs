//! Predictions that can abstain: class and probability of a feature, its conformal prediction set, out-of-distribution
//! detection, and the nearest supports.

mod class_set; // a set of classes, one bit each
mod nearest; //   the supports most like a feature
mod conformal; // p-values by full conformal prediction
mod out_of_distribution; // whether a feature resembles the supports or the corpus
mod predictor; // all of these for one feature

pub use class_set::ClassSet;
pub use nearest::Nearest;
pub use predictor::{Fitted, Prediction, Predictor};
