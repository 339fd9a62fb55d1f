//! A bundle in memory, verified.

use std::path::Path;

use macula_edge::bundle::{
    BUNDLE_LEN_MAX, BundleError, CorpusPart, Golden, Header, PartKind, PublicKey, claimed_signer, verify,
};

use super::{Manifest, OpenError};
use crate::encoder::CorpusStatistics;
use crate::files::read_bounded;

/// A bundle with valid signature, parts and manifest.
pub struct Bundle {
    name: String,
    bytes: Vec<u8>,
    header: Header,
    manifest: Manifest,
}

impl Bundle {
    /// Opens a file.
    ///
    /// * `trusted`: public keys whose bundles are trusted
    ///
    /// # Errors
    /// When the file cannot be read or the bundle is refused. No part is read before all parts are verified.
    pub fn open(path: &Path, trusted: &[PublicKey]) -> Result<Self, OpenError> {
        let name = path.display().to_string();
        let bytes = read(path, &name)?;
        Self::from_bytes(&name, bytes, trusted)
    }

    /// Opens the bundle `bytes`; errors call it `name`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Refused { path: name.to_owned(), source };
        // A length beyond 32 bits does not fit the header, so the bundle is refused.
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let header = verify(len, &mut |at, into| read_at(&bytes, at, into), trusted).map_err(refused)?;
        let range = header.needed(PartKind::Manifest).map_err(refused)?;
        let manifest = Manifest::parse(&bytes[range.start as usize..range.end as usize]).map_err(|message| {
            let reason = BundleError::Content { kind: PartKind::Manifest };
            OpenError::Content { path: name.to_owned(), reason, message }
        })?;
        Ok(Self { name: name.to_owned(), bytes, header, manifest })
    }

    /// The public key that the file claims to be signed by. Nothing is verified.
    ///
    /// # Errors
    /// When the file cannot be read or does not begin like a bundle.
    pub fn claimed_signer(path: &Path) -> Result<PublicKey, OpenError> {
        let name = path.display().to_string();
        let bytes = read(path, &name)?;
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        claimed_signer(len, &mut |at, into| read_at(&bytes, at, into))
            .map_err(|source| OpenError::Refused { path: name, source })
    }

    /// Its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The header: counter, signer, table of parts.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All its bytes, as sent to a device.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of an optional part.
    pub fn part(&self, kind: PartKind) -> Option<&[u8]> {
        self.header.part(kind).map(|range| &self.bytes[range.start as usize..range.end as usize])
    }

    /// The bytes of a required part.
    ///
    /// # Errors
    /// [`BundleError::Missing`].
    pub fn needed(&self, kind: PartKind) -> Result<&[u8], OpenError> {
        let refused = |source| OpenError::Refused { path: self.name.clone(), source };
        self.part(kind).ok_or_else(|| refused(BundleError::Missing { kind }))
    }

    /// Its golden images.
    ///
    /// # Errors
    /// When there are none or they are invalid.
    pub fn golden(&self) -> Result<Golden<'_>, OpenError> {
        let part = self.needed(PartKind::Golden)?;
        Golden::parse(part).ok_or_else(|| self.unreadable(PartKind::Golden, "it is invalid"))
    }

    /// Statistics of its features over the corpus; `None` where they are the encoder's own.
    ///
    /// # Errors
    /// When the part is invalid.
    pub fn corpus(&self) -> Result<Option<CorpusStatistics>, OpenError> {
        let Some(part) = self.part(PartKind::Corpus) else { return Ok(None) };
        let corpus = CorpusPart::parse(part).filter(|corpus| corpus.dim() == self.manifest.encoder.feature_dim);
        let corpus =
            corpus.ok_or_else(|| self.unreadable(PartKind::Corpus, "it is invalid or of another feature dimension"))?;
        Ok(Some(corpus.into()))
    }

    pub(super) fn unreadable(&self, kind: PartKind, message: &str) -> OpenError {
        let message = format!("the {kind} of the bundle: {message}");
        OpenError::Content { path: self.name.clone(), reason: BundleError::Content { kind }, message }
    }
}

fn read_at(bytes: &[u8], at: u32, into: &mut [u8]) -> bool {
    let found = bytes.get(at as usize..).and_then(|rest| rest.get(..into.len()));
    found.map(|found| into.copy_from_slice(found)).is_some()
}

fn read(path: &Path, name: &str) -> Result<Vec<u8>, OpenError> {
    read_bounded(path, BUNDLE_LEN_MAX.into())
        .map_err(|error| OpenError::Read { path: name.to_owned(), source: error.source })
}
