//! Errors of heads.

use core::fmt;

use crate::feature::DIM_MAX;
use crate::support_set::CLASSES_MAX;

/// Why a head cannot be solved or cannot decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// A feature has 1 to [`DIM_MAX`] dimensions.
    DimensionOutOfRange {
        /// Dimensions of the supports.
        found: usize,
    },
    /// A head has 1 to [`CLASSES_MAX`] classes.
    ClassesOutOfRange {
        /// Class slots requested.
        found: usize,
    },
    /// Memory has the wrong size.
    Memory {
        /// Which memory: `scratch`, `probabilities`, `features`, `supports`.
        what: &'static str,
        /// Values lent.
        found: usize,
        /// Values needed.
        expected: usize,
    },
    /// The feature has the wrong dimension.
    FeatureDimension {
        /// Dimension of the feature.
        found: usize,
        /// Dimension of the head.
        expected: usize,
    },
    /// A support belongs to a class that the head does not have.
    ClassOutOfRange {
        /// Class of the support.
        class: u8,
        /// Classes of the head.
        classes: usize,
    },
    /// There is no support.
    NothingLearned,
    /// The error rate is not between 1 and 999 thousandths.
    ErrorRate {
        /// Error rate requested, in thousandths.
        found: u16,
    },
    /// The shrunk covariance is not positive definite.
    NotPositiveDefinite {
        /// Dimension at which the factorisation failed.
        dimension: usize,
    },
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DimensionOutOfRange { found } => write!(f, "{found} dimensions; 1 to {DIM_MAX} are allowed"),
            Self::ClassesOutOfRange { found } => write!(f, "{found} classes; 1 to {CLASSES_MAX} are allowed"),
            Self::Memory { what, found, expected } => {
                write!(f, "memory for {what} holds {found} values; {expected} are needed")
            }
            Self::FeatureDimension { found, expected } => {
                write!(f, "the feature has {found} dimensions; the head has {expected}")
            }
            Self::ClassOutOfRange { class, classes } => write!(f, "class {class} of a head with {classes} classes"),
            Self::ErrorRate { found } => write!(f, "error rate of {found} thousandths; 1 to 999 are allowed"),
            Self::NothingLearned => write!(f, "no class has a support"),
            Self::NotPositiveDefinite { dimension } => {
                write!(f, "the covariance is not positive definite at dimension {dimension}")
            }
        }
    }
}

impl core::error::Error for HeadError {}
