//! The outcome of a target on one input.

/// The outcome of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Refused with a typed error.
    Refused,
    /// Accepted, and every invariant held.
    Accepted,
}
