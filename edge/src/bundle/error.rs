//! Why a bundle is refused.

use core::fmt;

use super::format::{BUNDLE_LEN_MAX, PARTS_MAX, PartKind, PublicKey, VERSION};

/// A bundle is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// Its bytes cannot be read.
    Read {
        /// Where.
        at: u32,
    },
    /// It does not begin as a bundle.
    NotABundle,
    /// A later program wrote it.
    Version {
        /// Its format version.
        found: u16,
    },
    /// It is not as long as it says.
    Length {
        /// Bytes there are.
        found: u32,
        /// Bytes it says it has.
        stated: u32,
    },
    /// It has no parts or too many.
    Parts {
        /// How many.
        found: u16,
    },
    /// Nobody trusts the key that signed it.
    UnknownKey {
        /// That key.
        signer: PublicKey,
    },
    /// The key did not sign this.
    Signature,
    /// A part does not lie where it must, or stands twice.
    Place {
        /// The part, counted from 0.
        part: u16,
    },
    /// The bytes between two parts are not 0.
    Filling {
        /// The part before them, counted from 0.
        part: u16,
    },
    /// A part is not the one that was signed.
    Hash {
        /// The part, counted from 0.
        part: u16,
    },
    /// It is older than one that this device has used: it could bring an old fault back.
    Older {
        /// Its counter.
        found: u64,
        /// The highest counter there was.
        seen: u64,
    },
    /// It lacks a part that this device needs.
    Missing {
        /// Which.
        kind: PartKind,
    },
    /// A part cannot be read, although it is the one that was signed.
    Content {
        /// Which.
        kind: PartKind,
    },
    /// Its encoder does not give the features of the golden images.
    Golden {
        /// The first image that fails, counted from 0.
        image: u32,
    },
    /// This device has not the memory that it asks for.
    Limits,
    /// It has the counter of the one in use, and other content: nobody could tell which is the later.
    SameCounter {
        /// The counter.
        found: u64,
    },
}

impl BundleError {
    /// Its number, which the reason [`BundleRefused`](crate::protocol::Reason::BundleRefused) carries to a host.
    ///
    /// Hosts in the field know these numbers: append, never renumber, never give one a second meaning.
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

    /// What a number of [`BundleError::code`] means; `None` where a newer device knows more of them.
    pub const fn meaning(code: u64) -> Option<&'static str> {
        Some(match code {
            1 => "its bytes cannot be read",
            2 => "it is no bundle",
            3 => "a later program wrote it",
            4 => "it is not as long as it says",
            5 => "it has no parts or too many",
            6 => "the device does not trust the key that signed it",
            7 => "the signature is not that of its bytes",
            8 => "a part does not lie where it must",
            9 => "the bytes between two parts are not 0",
            10 => "a part is not the one that was signed",
            11 => "it is older than one that the device has used",
            12 => "it lacks a part that the device needs",
            13 => "a part cannot be read",
            14 => "its encoder does not give the features of its golden images",
            15 => "the device has not the memory that it asks for",
            16 => "it has the counter of the one in use, and other content",
            _ => return None,
        })
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Read { at } => write!(f, "the bundle cannot be read at byte {at}"),
            Self::NotABundle => write!(f, "this is no bundle: it does not begin with MACULABU"),
            Self::Version { found } => {
                write!(f, "the bundle has format version {found}, this program reads version {VERSION}")
            }
            Self::Length { found, stated } => {
                write!(f, "the bundle has {found} bytes and says {stated}; {BUNDLE_LEN_MAX} are allowed")
            }
            Self::Parts { found } => write!(f, "the bundle has {found} parts, 1 to {PARTS_MAX} are allowed"),
            Self::UnknownKey { signer } => write!(f, "the bundle is signed by key {signer}, which is not trusted here"),
            Self::Signature => write!(f, "the bundle's signature is not that of its bytes: it was changed"),
            Self::Place { part } => write!(f, "part {part} of the bundle does not lie where it must"),
            Self::Filling { part } => write!(f, "the bytes after part {part} of the bundle are not 0"),
            Self::Hash { part } => write!(f, "part {part} of the bundle is not the one that was signed"),
            Self::Older { found, seen } => write!(
                f,
                "the bundle has counter {found}, and this device has used one of counter {seen}: an older one is refused"
            ),
            Self::Missing { kind } => write!(f, "the bundle has no {kind}"),
            Self::Content { kind } => write!(f, "the {kind} of the bundle cannot be read"),
            Self::Golden { image } => {
                write!(f, "the bundle's encoder does not give the expected feature of golden image {image}")
            }
            Self::Limits => write!(f, "the bundle asks for more memory than this device has"),
            Self::SameCounter { found } => write!(
                f,
                "the bundle has counter {found}, as the one in use, and other content: it needs a higher counter"
            ),
        }
    }
}

impl core::error::Error for BundleError {}
