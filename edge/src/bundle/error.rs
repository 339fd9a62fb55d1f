//! Why a bundle is refused.

use super::format::{BUNDLE_LEN_MAX, PARTS_MAX, PartKind, PublicKey, VERSION};

/// A bundle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Its bytes cannot be read.
    #[error("the bundle cannot be read at byte {at}")]
    Read {
        /// Offset of the first byte.
        at: u32,
    },
    /// It does not begin with the magic, or its reserved bytes are not 0.
    #[error("this is not a bundle: it does not begin with MACULABU")]
    NotABundle,
    /// A later program wrote it.
    #[error("the bundle has format version {found}; this program reads version {VERSION}")]
    Version {
        /// Its format version.
        found: u16,
    },
    /// Its length is not the one that it states, or is not allowed.
    #[error("the bundle has {found} bytes and states {stated}; at most {BUNDLE_LEN_MAX} are allowed")]
    Length {
        /// Its bytes.
        found: u32,
        /// The length stated.
        stated: u32,
    },
    /// It has no parts or too many.
    #[error("the bundle has {found} parts; 1 to {PARTS_MAX} are allowed")]
    Parts {
        /// How many.
        found: u16,
    },
    /// The device does not trust the key that signed it.
    #[error("the bundle is signed by key {signer}, which is not trusted here")]
    UnknownKey {
        /// That key.
        signer: PublicKey,
    },
    /// The signature does not match.
    #[error("the signature of the bundle does not match: it was changed after signing")]
    Signature,
    /// A part lies at the wrong place or appears twice.
    #[error("part {part} of the bundle lies at the wrong place")]
    Place {
        /// The part, counted from 0.
        part: u16,
    },
    /// The bytes between two parts are not 0.
    #[error("the bytes after part {part} of the bundle are not 0")]
    Filling {
        /// The part before them, counted from 0.
        part: u16,
    },
    /// A part does not match its hash.
    #[error("part {part} of the bundle does not match its hash")]
    Hash {
        /// The part, counted from 0.
        part: u16,
    },
    /// It is older than one that this device has used, and could bring back an old fault.
    #[error(
        "the bundle has counter {found}, and this device has used a bundle with counter {highest}; \
                 an older one is refused"
    )]
    Older {
        /// Its counter.
        found: u64,
        /// The highest counter that the device has used.
        highest: u64,
    },
    /// It lacks a part that this device needs.
    #[error("the bundle has no {kind}")]
    Missing {
        /// The kind of that part.
        kind: PartKind,
    },
    /// A part cannot be read, although it matches its hash.
    #[error("the {kind} of the bundle cannot be read")]
    Content {
        /// The kind of that part.
        kind: PartKind,
    },
    /// Its encoder does not give the features of the golden images.
    #[error("the bundle's encoder does not give the expected feature for golden image {image}")]
    Golden {
        /// The first image that fails, counted from 0.
        image: u32,
    },
    /// It needs more memory than this device has.
    #[error("the bundle needs more memory than this device has")]
    Limits,
    /// It has the counter of the bundle in use and other content, so that neither is the later one.
    #[error("the bundle has counter {found}, as the one in use, but other content; build it with a higher counter")]
    SameCounter {
        /// The counter.
        found: u64,
    },
}

impl BundleError {
    /// The number of the error, which [`BundleRefused`](crate::protocol::Reason::BundleRefused) carries to a host.
    ///
    /// Hosts in the field know these numbers: append, never renumber, never reuse.
    pub const fn code(&self) -> u32 {
        match self {
            Self::Read { .. } => 1,
            Self::NotABundle => 2,
            Self::Version { .. } => 3,
            Self::Length { .. } => 4,
            Self::Parts { .. } => 5,
            Self::UnknownKey { .. } => 6,
            Self::Signature => 7,
            Self::Place { .. } => 8,
            Self::Filling { .. } => 9,
            Self::Hash { .. } => 10,
            Self::Older { .. } => 11,
            Self::Missing { .. } => 12,
            Self::Content { .. } => 13,
            Self::Golden { .. } => 14,
            Self::Limits => 15,
            Self::SameCounter { .. } => 16,
        }
    }

    /// The meaning of a [`BundleError::code`]; `None` for a number of newer devices.
    pub const fn meaning(code: u64) -> Option<&'static str> {
        Some(match code {
            1 => "its bytes cannot be read",
            2 => "it is not a bundle",
            3 => "a later program wrote it",
            4 => "its length is not the one that it states",
            5 => "it has no parts or too many",
            6 => "the device does not trust the key that signed it",
            7 => "its signature does not match",
            8 => "a part lies at the wrong place",
            9 => "the bytes between two parts are not 0",
            10 => "a part does not match its hash",
            11 => "it is older than one that the device has used",
            12 => "it lacks a part that the device needs",
            13 => "a part cannot be read",
            14 => "its encoder does not give the features of its golden images",
            15 => "it needs more memory than the device has",
            16 => "it has the counter of the bundle in use and other content",
            _ => return None,
        })
    }
}
