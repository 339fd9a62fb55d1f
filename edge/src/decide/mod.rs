//! From a feature to a verdict: class, probability, the classes that cannot be excluded, known or not, and why.

mod class_set;
mod conformal;
mod judge;
mod nearest;

pub use class_set::ClassSet;
pub use judge::{Fitted, Judge, Verdict};
pub use nearest::Nearest;
