//! Heads: quantised feature → class. All are made from the same integer sums.

mod decision;
mod gaussian;
mod prototype;
mod sums;

pub use decision::Decision;
pub use gaussian::Gaussian;
pub use prototype::Prototype;
pub use sums::{CLASSES_MAX, ClassSums, HeadError};
