//! Errors of heads.

use crate::feature::DIM_MAX;
use crate::support_set::CLASSES_MAX;

/// A head cannot be solved or cannot classify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A feature has 1 to [`DIM_MAX`] dimensions.
    #[error("{found} dimensions; 1 to {DIM_MAX} are allowed")]
    DimensionOutOfRange {
        /// Dimensions of the supports.
        found: usize,
    },
    /// A head has 1 to [`CLASSES_MAX`] classes.
    #[error("{found} classes; 1 to {CLASSES_MAX} are allowed")]
    ClassesOutOfRange {
        /// Class slots requested.
        found: usize,
    },
    /// Memory has the wrong size.
    #[error("memory for {what} holds {found} values; {expected} are needed")]
    Memory {
        /// Which memory: `scratch`, `probabilities`, `features`, `supports`, `weights`.
        what: &'static str,
        /// Values lent.
        found: usize,
        /// Values needed.
        expected: usize,
    },
    /// The feature has the wrong dimension.
    #[error("the feature has {found} dimensions; the head has {expected}")]
    FeatureDimension {
        /// Dimension of the feature.
        found: usize,
        /// Dimension of the head.
        expected: usize,
    },
    /// A support belongs to a class that the head does not have.
    #[error("class {class} of a head with {classes} classes")]
    ClassOutOfRange {
        /// Class of the support.
        class: u8,
        /// Classes of the head.
        classes: usize,
    },
    /// There is no support.
    #[error("no class has a support")]
    NothingLearned,
    /// The error rate is not between 1 and 999 thousandths.
    #[error("error rate of {found} thousandths; 1 to 999 are allowed")]
    ErrorRate {
        /// Error rate requested, in thousandths.
        found: u16,
    },
    /// The shrunk covariance is not positive definite.
    #[error("the covariance is not positive definite at dimension {dimension}")]
    NotPositiveDefinite {
        /// Dimension at which the factorisation failed.
        dimension: usize,
    },
}
