//! Why a network is not built or an image not encoded.

/// A blob or a buffer that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Int8Error {
    /// A blob with f16 weights.
    #[error("the blob computes in f16, not in int8")]
    Arithmetic,
    /// An instruction set that this processor does not have.
    #[error("this processor does not have the instruction set {isa}")]
    Isa {
        /// Its name.
        isa: &'static str,
    },
    /// A buffer of the wrong length.
    #[error("{what} has length {found}, needed {expected}")]
    Length {
        /// The buffer.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits.
        expected: usize,
    },
    /// Values that together exceed the address space.
    #[error("the values of the blob do not fit this machine's memory")]
    Memory,
}
