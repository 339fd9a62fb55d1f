//! Errors of a support set and the limits that they name.

/// Most classes of a support set: a class is a `u8`, and 255 is reserved for "none".
pub const CLASSES_MAX: usize = 255;
/// Longest name of a class, in bytes of UTF-8.
pub const CLASS_NAME_MAX: usize = 32;

/// A support set refused a change. The set is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SupportSetError {
    /// The name is not a valid [`super::ClassName`].
    #[error(
        "a class name of {found} bytes; 1 to {CLASS_NAME_MAX} are allowed, without control or invisible characters"
    )]
    Name {
        /// Bytes of the name.
        found: usize,
    },
    /// Another class has this name.
    #[error("class {class} already has this name")]
    NameTaken {
        /// The slot of that class.
        class: u8,
    },
    /// Every class slot is taken.
    #[error("all {limit} class slots are taken; remove a class first")]
    ClassesFull {
        /// Number of slots.
        limit: usize,
    },
    /// The slot is free or does not exist.
    #[error("there is no class {class}")]
    NoSuchClass {
        /// The slot requested.
        class: u8,
    },
    /// The set has no room for another support.
    #[error("all {limit} places for supports are taken; forget a sample first")]
    SupportsFull {
        /// Supports that it can hold.
        limit: usize,
    },
    /// The source has a support in another class.
    #[error("this source was learned as class {class}; forget it first")]
    SourceTaken {
        /// The slot of that class.
        class: u8,
    },
    /// The source has no support.
    #[error("this source was not learned")]
    NoSuchSource,
    /// The feature has the wrong dimension.
    #[error("the feature has {found} dimensions; the device has {expected}")]
    Dimension {
        /// Dimension of the feature.
        found: usize,
        /// Dimension of the set.
        expected: usize,
    },
    /// Memory has the wrong size.
    #[error("memory for {what} holds {found} values; {expected} are needed")]
    Memory {
        /// Which memory: `names`, `records`, `features`.
        what: &'static str,
        /// Values lent.
        found: usize,
        /// Values needed; for `names`, the most allowed.
        expected: usize,
    },
}
