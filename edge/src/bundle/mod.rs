//! A bundle: one signed file with an encoder and everything that belongs to it. `docs/bundle-format.md` has every field.
//!
//! Nothing of a bundle is read before [`verify`] has found that a trusted key signed it and that every byte is as signed.
//! Verification reads the bundle once, in pieces, from a slot of flash, a file or memory.

pub mod format; //        offsets, limits, keys, the table of parts
mod error; //             reasons to refuse a bundle, with numbers
mod header; //            everything before the parts
mod verify; //            signature and hashes
mod write; //             header, table, signature, parts
mod corpus; //            the part with statistics of the corpus
mod golden; //            the part with images whose features are known
mod trust; //             the keys whose bundles a device accepts
pub mod anti_rollback; // the highest counter that a device has used

pub use corpus::CorpusPart;
pub use error::BundleError;
pub use format::{
    ALIGNMENT, BUNDLE_LEN_MAX, HEADER_LEN, MAGIC, PART_LEN, PARTS_MAX, Part, PartKind, PublicKey, SIGNATURE_LEN,
    VERSION,
};
pub use golden::{Golden, GoldenImage};
pub use header::Header;
pub use trust::{KEYS_MAX, TrustedKeys};
pub use verify::{claimed_signer, verify};
pub use write::{WriteError, write};
