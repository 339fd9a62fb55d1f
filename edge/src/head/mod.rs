//! Heads: quantised feature → class.
//!
//! [`Head`] is solved from the supports that a device keeps. [`Prototype`] and [`Gaussian`] need no more than sums.

pub(crate) mod cholesky; // symmetric matrices as triangles
mod decision;
pub(crate) mod fitted;
mod gaussian;
mod logistic;
mod prototype;
pub(crate) mod shrunken; // shared covariance, shrunk by leaving one out
pub(crate) mod span; //     supports as coordinates in the space they span
mod sums;

pub use decision::Decision;
pub use fitted::{Head, HeadKind};
pub use gaussian::Gaussian;
pub use prototype::Prototype;
pub use sums::{ClassSums, HeadError};
