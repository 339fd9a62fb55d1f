//! Why a bundle is refused.

use core::fmt;

use super::format::{BUNDLE_LEN_MAX, PARTS_MAX, PartKind, PublicKey, VERSION};

/// A bundle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// Its bytes cannot be read.
    Read {
        /// Offset of the first byte.
        at: u32,
    },
    /// It does not begin with the magic, or its reserved bytes are not 0.
    NotABundle,
    /// A later program wrote it.
    Version {
        /// Its format version.
        found: u16,
    },
    /// Its length is not the one that it states, or is not allowed.
    Length {
        /// Its bytes.
        found: u32,
        /// The length stated.
        stated: u32,
    },
    /// It has no parts or too many.
    Parts {
        /// How many.
        found: u16,
    },
    /// The device does not trust the key that signed it.
    UnknownKey {
        /// That key.
        signer: PublicKey,
    },
    /// The signature does not match.
    Signature,
    /// A part lies at the wrong place or appears twice.
    Place {
        /// The part, counted from 0.
        part: u16,
    },
    /// The bytes between two parts are not 0.
    Filling {
        /// The part before them, counted from 0.
        part: u16,
    },
    /// A part does not match its hash.
    Hash {
        /// The part, counted from 0.
        part: u16,
    },
    /// It is older than one that this device has used, and could bring back an old fault.
    Older {
        /// Its counter.
        found: u64,
        /// The highest counter that the device has used.
        highest: u64,
    },
    /// It lacks a part that this device needs.
    Missing {
        /// The kind of that part.
        kind: PartKind,
    },
    /// A part cannot be read, although it matches its hash.
    Content {
        /// The kind of that part.
        kind: PartKind,
    },
    /// Its encoder does not give the features of the golden images.
    Golden {
        /// The first image that fails, counted from 0.
        image: u32,
    },
    /// It needs more memory than this device has.
    Limits,
    /// It has the counter of the bundle in use and other content, so that neither is the later one.
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

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Read { at } => write!(f, "the bundle cannot be read at byte {at}"),
            Self::NotABundle => write!(f, "this is not a bundle: it does not begin as one, with MACULABU"),
            Self::Version { found } => {
                write!(f, "the bundle has format version {found}; this program reads version {VERSION}")
            }
            Self::Length { found, stated } => {
                write!(f, "the bundle has {found} bytes and states {stated}; at most {BUNDLE_LEN_MAX} are allowed")
            }
            Self::Parts { found } => write!(f, "the bundle has {found} parts; 1 to {PARTS_MAX} are allowed"),
            Self::UnknownKey { signer } => write!(f, "the bundle is signed by key {signer}, which is not trusted here"),
            Self::Signature => write!(f, "the signature of the bundle does not match: it was changed after signing"),
            Self::Place { part } => write!(f, "part {part} of the bundle lies at the wrong place"),
            Self::Filling { part } => write!(f, "the bytes after part {part} of the bundle are not 0"),
            Self::Hash { part } => write!(f, "part {part} of the bundle does not match its hash"),
            Self::Older { found, highest } => write!(
                f,
                "the bundle has counter {found}, and this device has used a bundle with counter {highest}; \
                 an older one is refused"
            ),
            Self::Missing { kind } => write!(f, "the bundle has no {kind}"),
            Self::Content { kind } => write!(f, "the {kind} of the bundle cannot be read"),
            Self::Golden { image } => {
                write!(f, "the bundle's encoder does not give the expected feature for golden image {image}")
            }
            Self::Limits => write!(f, "the bundle needs more memory than this device has"),
            Self::SameCounter { found } => write!(
                f,
                "the bundle has counter {found}, as the one in use, but other content; build it with a higher counter"
            ),
        }
    }
}

impl core::error::Error for BundleError {}
