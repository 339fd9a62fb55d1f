//! Predictions that can abstain: class and probability of a feature, its conformal prediction set, out-of-distribution
//! detection, operating points, and the nearest supports.

mod class_set; // a set of classes, one bit each
mod nearest; //   the supports most like a feature
mod conformal; // p-values by full conformal prediction
mod out_of_distribution; // whether a feature resembles the supports or the corpus
mod operating_point; // a threshold on the score of one class
mod predictor; // all of these for one feature

pub use class_set::ClassSet;
pub use nearest::Nearest;
pub use operating_point::{OperatingPoint, Target, Threshold};
pub use predictor::{Fitted, Prediction, Predictor};
