//! Errors of a support set and the limits that they name.

use core::fmt;

/// Most classes of a support set: a class is a `u8`, and 255 is reserved for "none".
pub const CLASSES_MAX: usize = 255;
/// Longest name of a class, in bytes of UTF-8.
pub const CLASS_NAME_MAX: usize = 32;

/// The device cannot be taught this; it is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupportSetError {
    /// A name has 1 to [`CLASS_NAME_MAX`] bytes, no control characters, no line separators, no marks of direction.
    Name {
        /// Its bytes.
        found: usize,
    },
    /// Another class has this name.
    NameTaken {
        /// The slot of that class.
        class: u8,
    },
    /// Every slot is taken.
    ClassesFull {
        /// Slots.
        limit: usize,
    },
    /// The slot is free, or there is no such slot.
    NoSuchClass {
        /// What was asked for.
        class: u8,
    },
    /// Every place for a support is taken.
    SupportsFull {
        /// Places.
        limit: usize,
    },
    /// This source is known as another class: forget it first.
    SourceTaken {
        /// The slot of that class.
        class: u8,
    },
    /// No support was made of this source.
    NoSuchSource,
    /// The feature has another dimension than the device's.
    Dimension {
        /// Length of the feature.
        found: usize,
        /// Dimension of the device.
        expected: usize,
    },
    /// The memory lent has another size than needed, or too large a one.
    Memory {
        /// Which: `names`, `records`, `features`.
        what: &'static str,
        /// Values lent.
        found: usize,
        /// Values needed, or the most that can be used.
        expected: usize,
    },
}

impl fmt::Display for SupportSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name { found } => {
                write!(
                    f,
                    "a class name of {found} bytes: 1 to {CLASS_NAME_MAX} are allowed, without control or invisible characters"
                )
            }
            Self::NameTaken { class } => write!(f, "class {class} has this name already"),
            Self::ClassesFull { limit } => write!(f, "all {limit} classes are taken"),
            Self::NoSuchClass { class } => write!(f, "there is no class {class}"),
            Self::SupportsFull { limit } => write!(f, "all {limit} places for supports are taken"),
            Self::SourceTaken { class } => write!(f, "this source is known as class {class}: forget it first"),
            Self::NoSuchSource => write!(f, "nothing was learned from this source"),
            Self::Dimension { found, expected } => {
                write!(f, "the feature has {found} dimensions, the device has {expected}")
            }
            Self::Memory { what, found, expected } => {
                write!(f, "memory for {what} holds {found} values, {expected} are needed")
            }
        }
    }
}

impl core::error::Error for SupportSetError {}
