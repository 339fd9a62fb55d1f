//! The report of an evaluation: what a classifier does right and wrong, and how far its probabilities can be trusted.
//!
//! Its figures are of the test images of the evaluation. Nothing in it is chosen by them.

mod page;
mod subject;

pub use page::Evaluation;
pub use subject::{MISTAKES_MAX, Mistaken, Rates, Subject};
