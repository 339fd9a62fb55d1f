//! Errors of a support set and the limits that they name.

use core::fmt;

/// Most classes of a support set: a class is a `u8`, and 255 is reserved for "none".
pub const CLASSES_MAX: usize = 255;
/// Longest name of a class, in bytes of UTF-8.
pub const CLASS_NAME_MAX: usize = 32;

/// Why a support set refuses a change. The set is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupportSetError {
    /// The name is not a valid [`super::ClassName`].
    Name {
        /// Bytes of the name.
        found: usize,
    },
    /// Another class has this name.
    NameTaken {
        /// The slot of that class.
        class: u8,
    },
    /// Every class slot is taken.
    ClassesFull {
        /// Number of slots.
        limit: usize,
    },
    /// The slot is free or does not exist.
    NoSuchClass {
        /// The slot requested.
        class: u8,
    },
    /// The set has no room for another support.
    SupportsFull {
        /// Supports that it can hold.
        limit: usize,
    },
    /// The source has a support in another class.
    SourceTaken {
        /// The slot of that class.
        class: u8,
    },
    /// The source has no support.
    NoSuchSource,
    /// The feature has the wrong dimension.
    Dimension {
        /// Dimension of the feature.
        found: usize,
        /// Dimension of the set.
        expected: usize,
    },
    /// Memory has the wrong size.
    Memory {
        /// Which memory: `names`, `records`, `features`.
        what: &'static str,
        /// Values lent.
        found: usize,
        /// Values needed; for `names`, the most allowed.
        expected: usize,
    },
}

impl fmt::Display for SupportSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name { found } => {
                write!(
                    f,
                    "a class name of {found} bytes; 1 to {CLASS_NAME_MAX} are allowed, without control or invisible characters"
                )
            }
            Self::NameTaken { class } => write!(f, "class {class} already has this name"),
            Self::ClassesFull { limit } => write!(f, "all {limit} class slots are taken; remove a class first"),
            Self::NoSuchClass { class } => write!(f, "there is no class {class}"),
            Self::SupportsFull { limit } => {
                write!(f, "all {limit} places for supports are taken; forget a sample first")
            }
            Self::SourceTaken { class } => write!(f, "this source was learned as class {class}; forget it first"),
            Self::NoSuchSource => write!(f, "this source was not learned"),
            Self::Dimension { found, expected } => {
                write!(f, "the feature has {found} dimensions; the device has {expected}")
            }
            Self::Memory { what, found, expected } => {
                write!(f, "memory for {what} holds {found} values; {expected} are needed")
            }
        }
    }
}

impl core::error::Error for SupportSetError {}
