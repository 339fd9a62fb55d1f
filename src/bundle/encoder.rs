//! The encoder in a bundle, for whoever takes any other encoder.

use std::time::Instant;

use macula_edge::bundle::{Golden, PartKind};
use sha2::{Digest, Sha256};

use super::{Bundle, OpenError};
use crate::blob::{Arithmetic as BlobArithmetic, BlobFile};
use crate::data::{Image, Preprocessing};
use crate::encoder::{CorpusStatistics, EmbedError, Embedder};
use crate::isolated::OnnxHost;
#[cfg(feature = "onnx")]
use crate::isolated::{HostedEncoder, IsolatedError};

/// The encoder of a bundle: the ONNX file where this program can run it, else the blob.
pub struct BundleEncoder {
    name: String,
    encoder: Box<dyn Embedder>,
    /// With the range of raw values, which a blob has no place for and the manifest names.
    preprocessing: Preprocessing,
    arithmetic: String,
    identity: [u8; 32],
    /// What the bundle adds to what the encoder says itself.
    corpus: Option<CorpusStatistics>,
    /// The part of golden images, and what is asked of them.
    golden: Vec<u8>,
    tolerance: f64,
    /// Where it runs, and for how long.
    host: OnnxHost,
}

impl BundleEncoder {
    /// # Errors
    /// A bundle without an encoder that this program can run, or whose encoder is not the one of its manifest.
    pub(super) fn of(bundle: &Bundle, host: &OnnxHost) -> Result<Self, OpenError> {
        let (encoder, arithmetic, is_onnx) = open(bundle, host)?;
        let manifest = bundle.manifest();
        let (found, stated) = (encoder.feature_dim(), manifest.encoder.feature_dim);
        if found != stated {
            let message = format!("its features have {found} dimensions, the manifest says {stated}");
            return Err(bundle.unreadable(PartKind::Onnx, &message));
        }
        let added = bundle.corpus()?;
        let identity = identity(&*encoder, added.as_ref());
        if is_onnx && base16ct::lower::encode_string(&identity) != manifest.encoder.identity {
            return Err(bundle.unreadable(PartKind::Onnx, "it is not the encoder of the manifest"));
        }
        let corpus = added.filter(|_| encoder.corpus().is_none());
        bundle.golden()?;
        let golden = bundle.needed(PartKind::Golden)?.to_vec();
        let (name, tolerance) = (bundle.name().to_owned(), manifest.golden.tolerance);
        let host = host.clone();
        let preprocessing = Preprocessing { range: manifest.preprocessing.range, ..encoder.preprocessing().clone() };
        Ok(Self { name, encoder, preprocessing, arithmetic, identity, corpus, golden, tolerance, host })
    }

    /// In which precision it computes.
    pub fn arithmetic(&self) -> &str {
        &self.arithmetic
    }

    /// Has it make the features of the golden images; gives the largest difference, as a share of a feature's length.
    ///
    /// # Errors
    /// Where the difference is larger than the manifest allows, or the images take too long.
    pub fn check(&self) -> Result<f64, OpenError> {
        let Self { name, tolerance, .. } = self;
        // It was read when the bundle was opened.
        let Some(golden) = Golden::parse(&self.golden) else { return Ok(f64::INFINITY) };
        let (mut worst, begun, limit) = (0.0f64, Instant::now(), self.host.golden_limit());
        for (image, expected) in (0..).zip(golden.images()) {
            if self.host.is_stopped() {
                return Err(OpenError::Stopped { path: name.clone() });
            }
            if let Some(limit) = limit.filter(|&limit| begun.elapsed() > limit) {
                return Err(OpenError::Slow { path: name.clone(), image, limit });
            }
            let shape = expected.image.shape();
            let (width, height, channels) = (shape.width(), shape.height(), shape.channels());
            let raw = Image { width, height, channels, pixels: expected.image.pixels().to_vec() };
            let input = self.preprocessing().apply(&raw);
            let found = self.embed_input(&input).map_err(|source| match self.host.is_stopped() {
                true => OpenError::Stopped { path: name.clone() },
                false => OpenError::Embed { image, source },
            })?;
            let error = expected.error(&found);
            if error > *tolerance {
                return Err(OpenError::Golden { path: name.clone(), image, found: error, tolerance: *tolerance });
            }
            worst = worst.max(error);
        }
        Ok(worst)
    }
}

/// SHA-256 of what decides quantised features: an encoder that brings its statistics has them in its own identity.
pub(super) fn identity(encoder: &dyn Embedder, added: Option<&CorpusStatistics>) -> [u8; 32] {
    let Some(CorpusStatistics { mean, std, length_max }) = added.filter(|_| encoder.corpus().is_none()) else {
        return encoder.identity();
    };
    let mut hash = Sha256::new_with_prefix(encoder.identity());
    mean.iter().chain(std).for_each(|value| hash.update(value.to_le_bytes()));
    hash.update(length_max.unwrap_or(0).to_le_bytes());
    hash.finalize().into()
}

/// The encoder, in which precision it computes, and whether it is the ONNX file.
fn open(bundle: &Bundle, host: &OnnxHost) -> Result<(Box<dyn Embedder>, String, bool), OpenError> {
    #[cfg(feature = "onnx")]
    if let Some(onnx) = bundle.part(PartKind::Onnx) {
        let encoder = open_onnx(bundle.name(), onnx, &bundle.manifest().preprocessing, None, host).map_err(
            |error| match error {
                IsolatedError::Stopped { encoder } => OpenError::Stopped { path: encoder },
                error => bundle.unreadable(PartKind::Onnx, &error.to_string()),
            },
        )?;
        let arithmetic = encoder.arithmetic().to_string();
        return Ok((Box::new(encoder), arithmetic, true));
    }
    #[cfg(not(feature = "onnx"))]
    let _ = host;
    let blob = BlobFile::from_bytes(bundle.name(), bundle.needed(PartKind::Blob)?)
        .map_err(|error| bundle.unreadable(PartKind::Blob, &error.to_string()))?;
    let arithmetic = match blob.blob().map(|blob| blob.arithmetic()) {
        Ok(BlobArithmetic::Int8) => "int8",
        _ => "f32, from weights in f16",
    };
    Ok((Box::new(blob), arithmetic.to_owned(), false))
}

/// An ONNX file with the preprocessing of a manifest. Where the file says the same itself, its identity stays its own: a
/// store that was taught with the bare file goes with the bundle.
#[cfg(feature = "onnx")]
pub(super) fn open_onnx(
    name: &str,
    bytes: &[u8],
    preprocessing: &Preprocessing,
    arithmetic: Option<crate::runtime::Arithmetic>,
    host: &OnnxHost,
) -> Result<HostedEncoder, IsolatedError> {
    use crate::isolated::OnnxSource;
    use crate::runtime::{Declared, OpenOptions};
    let own = Declared::read(bytes, name)?.preprocessing;
    let preprocessing = Some(preprocessing).filter(|wanted| own.as_ref() != Some(*wanted)).cloned();
    host.open(name, OnnxSource::Bytes(bytes.to_vec()), &OpenOptions { preprocessing, arithmetic })
}

impl Embedder for BundleEncoder {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn identity(&self) -> [u8; 32] {
        self.identity
    }

    fn corpus(&self) -> Option<&CorpusStatistics> {
        self.corpus.as_ref().or_else(|| self.encoder.corpus())
    }

    fn self_test(&self) -> Option<bool> {
        Some(self.check().is_ok())
    }

    fn feature_dim(&self) -> usize {
        self.encoder.feature_dim()
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError> {
        self.encoder.embed_input(input)
    }
}
