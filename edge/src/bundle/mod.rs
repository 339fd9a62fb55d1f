//! A bundle: one signed file with an encoder and all that belongs to it. `docs/bundle-format.md` has every field.
//!
//! Nothing of a bundle is read before [`verify`] has found that a trusted key signed it and that every byte is the one
//! that was signed. It reads the bundle once, in pieces, wherever it lies: a slot of flash, a file, memory.

mod corpus; //  the part that says what the features look like over the corpus
pub mod anti_rollback; // the highest counter that this device has used
mod error; //   why a bundle is refused, in numbers
mod format; //  the bytes of the header and of the table of parts
mod golden; //  the part of images whose features are known
mod trust; //   the keys whose bundles a device takes
mod verify; //  is it the bundle that was signed?
mod write; //   header, table, signature, parts

pub use corpus::CorpusPart;
pub use error::BundleError;
pub use format::{
    ALIGNMENT, BUNDLE_LEN_MAX, HEADER_LEN, Header, MAGIC, PART_LEN, PARTS_MAX, Part, PartKind, PublicKey,
    SIGNATURE_LEN, VERSION,
};
pub use golden::{Golden, GoldenImage};
pub use trust::{KEYS_MAX, TrustedKeys};
pub use verify::{claimed_signer, verify};
pub use write::{WriteError, write};
