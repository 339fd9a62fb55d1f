//! A bundle in memory, verified.

use std::path::Path;

use macula_edge::bundle::{
    BUNDLE_LEN_MAX, BundleError, CorpusPart, Golden, Header, PartKind, PublicKey, claimed_signer, verify,
};

use super::{BundleEncoder, Manifest, OpenError};
use crate::encoder::CorpusStatistics;
use crate::files::read_bounded;
use crate::isolated::OnnxHost;

/// A bundle whose signature, parts and manifest are good.
pub struct Bundle {
    name: String,
    bytes: Vec<u8>,
    header: Header,
    manifest: Manifest,
}

impl Bundle {
    /// Opens a file.
    ///
    /// * `trusted`: keys whose bundles are taken
    ///
    /// # Errors
    /// A file that cannot be read, or a bundle that is refused. Nothing of it is read before all of it is verified.
    pub fn open(path: &Path, trusted: &[PublicKey]) -> Result<Self, OpenError> {
        let name = path.display().to_string();
        let bytes = read(path, &name)?;
        Self::from_bytes(&name, bytes, trusted)
    }

    /// Takes the bundle `bytes`; `name` stands in its errors.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Refused { path: name.to_owned(), source };
        // A longer file is no bundle whatever its length: the header states 32 bits.
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let header = verify(len, &mut |at, into| read_at(&bytes, at, into), trusted).map_err(refused)?;
        let range = header.needed(PartKind::Manifest).map_err(refused)?;
        let manifest = Manifest::parse(&bytes[range.start as usize..range.end as usize]).map_err(|message| {
            let reason = BundleError::Content { kind: PartKind::Manifest };
            OpenError::Content { path: name.to_owned(), reason, message }
        })?;
        Ok(Self { name: name.to_owned(), bytes, header, manifest })
    }

    /// The key that a file says has signed it, for whoever wants to know what it would be before trusting it.
    ///
    /// # Errors
    /// A file that cannot be read, or does not begin as a bundle.
    pub fn claimed_signer(path: &Path) -> Result<PublicKey, OpenError> {
        let name = path.display().to_string();
        let bytes = read(path, &name)?;
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        claimed_signer(len, &mut |at, into| read_at(&bytes, at, into))
            .map_err(|source| OpenError::Refused { path: name, source })
    }

    /// What it is called: its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands before its parts: counter, signer, table.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All of it, as it is sent to a device.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of a part.
    pub fn part(&self, kind: PartKind) -> Option<&[u8]> {
        self.header.part(kind).map(|range| &self.bytes[range.start as usize..range.end as usize])
    }

    /// The bytes of a part that is needed.
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
    /// A bundle without, or one in which they cannot be read.
    pub fn golden(&self) -> Result<Golden<'_>, OpenError> {
        let part = self.needed(PartKind::Golden)?;
        Golden::parse(part).ok_or_else(|| self.unreadable(PartKind::Golden, "they cannot be read"))
    }

    /// Statistics of its features over the corpus; `None` where they are the encoder's own.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn corpus(&self) -> Result<Option<CorpusStatistics>, OpenError> {
        let Some(part) = self.part(PartKind::Corpus) else { return Ok(None) };
        let corpus = CorpusPart::parse(part).filter(|corpus| corpus.dim() == self.manifest.encoder.feature_dim);
        let corpus = corpus.ok_or_else(|| self.unreadable(PartKind::Corpus, "they are not those of its features"))?;
        Ok(Some(corpus.into()))
    }

    /// Its encoder, which has given the features of the golden images, and the largest difference there was.
    ///
    /// # Errors
    /// An encoder that cannot be run here, or gives other features than it did where it was made.
    pub fn encoder(&self) -> Result<(BundleEncoder, f64), OpenError> {
        self.encoder_on(&OnnxHost::InProcess)
    }

    /// As [`Self::encoder`], with an ONNX encoder where `host` runs it, within its limits of time.
    ///
    /// # Errors
    /// As [`Self::encoder`], and an encoder that takes too long.
    pub fn encoder_on(&self, host: &OnnxHost) -> Result<(BundleEncoder, f64), OpenError> {
        let encoder = BundleEncoder::of(self, host)?;
        let worst = encoder.check()?;
        Ok((encoder, worst))
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
