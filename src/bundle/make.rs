//! Makes a bundle from an encoder.

use macula_edge::bundle::{CorpusPart, PartKind, WriteError, write};
use macula_edge::feature::FeatureError;
use macula_edge::image::ImageError;

use super::encoder::{identity, open_onnx};
use super::{
    Bundle, EncoderCard, FORMAT_VERSION, GoldenCard, KeyPair, Limits, Manifest, OpenError, PROGRAM_COMMIT, Provenance,
    golden,
};
use crate::blob::{BlobFile, BlobFileError};
use crate::data::{DataError, Image, Preprocessing};
use crate::encoder::{CorpusStatistics, EncodeError, HostEncoder};
use crate::export::{F16_TOLERANCE, F32_TOLERANCE, ParityError};
use crate::isolated::{HostedEncoder, IsolatedError, OnnxHost};
use crate::runtime::{Arithmetic, RuntimeError};

/// A bundle could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The ONNX file is not an encoder.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The encoder could not be opened or run.
    #[error(transparent)]
    Isolated(#[from] IsolatedError),
    /// The blob is invalid.
    #[error(transparent)]
    Blob(#[from] BlobFileError),
    /// Blob and ONNX file are different encoders.
    #[error(
        "features of the blob have {blob} dimensions, those of the ONNX file {onnx}; they must be the same encoder"
    )]
    OtherBlob {
        /// Dimensions of the blob's features.
        blob: usize,
        /// Dimensions of the ONNX file's features.
        onnx: usize,
    },
    /// The encoder failed on a golden image.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// An image cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An image is invalid.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The corpus could not be measured.
    #[error(transparent)]
    Parity(#[from] ParityError),
    /// Features cannot be quantised.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// No golden image was given.
    #[error("a bundle needs at least one golden image")]
    NoGolden,
    /// The golden images test nothing.
    #[error(
        "features of the golden images are all equal or zero; give images that differ, if the encoder works at all"
    )]
    DeadGolden,
    /// The reference has another size.
    #[error("the reference has {found} values, but {images} images with features of {dim} dimensions need {}", images * dim)]
    ReferenceSize {
        /// Number of values found.
        found: usize,
        /// Number of golden images.
        images: usize,
        /// Dimensions of a feature.
        dim: usize,
    },
    /// A value of the reference is not finite.
    #[error("value {position} of row {image} of the reference is {value}, which is not finite")]
    ReferenceValue {
        /// The row, counted from 0.
        image: usize,
        /// Index in the row.
        position: usize,
        /// What was found.
        value: f32,
    },
    /// The corpus has no two images with different features.
    #[error("all images of the corpus have the same feature; give images that differ")]
    NoCorpus,
    /// The manifest holds a value that no device accepts.
    #[error("{0}")]
    Manifest(String),
    /// The parts do not make a bundle.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The new bundle could not be opened again.
    #[error("the new bundle cannot be used: {0}")]
    Made(#[from] OpenError),
}

/// The encoder's origin, beside the provenance in its file.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Name of the encoder.
    pub name: String,
    /// Where a foreign encoder comes from, in words.
    pub origin: Option<String>,
}

/// Everything that goes into a bundle.
pub struct BundleContents<'a> {
    /// Name of the ONNX file in errors.
    pub onnx_name: &'a str,
    /// The ONNX file, weights included.
    pub onnx: &'a [u8],
    /// The same encoder for a bare-metal device.
    pub blob: Option<&'a [u8]>,
    /// How a raw image becomes its input.
    pub preprocessing: Preprocessing,
    /// Statistics of the features over the corpus; `None` for those of the ONNX file.
    pub corpus: Option<CorpusStatistics>,
    /// Golden images, of any size.
    pub golden: Vec<Image>,
    /// Features `[N, D]` of the golden images from another runtime, which the encoder must match within the tolerance;
    /// `None` for the encoder's own.
    pub reference: Option<Vec<f32>>,
    /// Largest error of a golden feature; `None` for the default of the file's element type.
    pub tolerance: Option<f64>,
    /// Suggested names of classes.
    pub labels: Vec<String>,
    /// Limits for the stores of devices.
    pub limits: Limits,
    /// Name and origin.
    pub origin: Origin,
    /// Where the encoder runs.
    pub host: OnnxHost,
}

impl BundleContents<'_> {
    /// The encoder as devices run it, f16 weights in f32 arithmetic; it computes the golden features.
    ///
    /// # Errors
    /// When the file is not an encoder.
    pub fn encoder(&self) -> Result<HostedEncoder, IsolatedError> {
        open_onnx(self.onnx_name, self.onnx, &self.preprocessing, Some(Arithmetic::F16WidenedToF32), &self.host)
    }
}

/// Makes and signs a bundle, and opens it again to prove that devices accept it.
///
/// # Errors
/// See [`MakeError`].
pub fn make(contents: &BundleContents<'_>, counter: u64, key: &KeyPair) -> Result<Bundle, MakeError> {
    let encoder = contents.encoder()?;
    let blob = contents.blob.map(|bytes| BlobFile::from_bytes("blob", bytes)).transpose()?;
    let corpus = contents.corpus.as_ref().or_else(|| encoder.corpus());
    let manifest = manifest(contents, &encoder, blob.as_ref(), corpus)?;
    manifest.check().map_err(MakeError::Manifest)?;
    let json = manifest.to_json().map_err(|error| MakeError::Manifest(error.to_string()))?;
    let golden = golden::part(&encoder, &contents.golden, contents.reference.as_deref())?;
    let corpus = corpus.map(|corpus| {
        let mut part = Vec::new();
        CorpusPart::write(corpus.view(), &mut |piece| part.extend_from_slice(piece));
        part
    });
    let mut parts: Vec<(PartKind, &[u8])> = vec![(PartKind::Manifest, &json), (PartKind::Onnx, contents.onnx)];
    parts.extend(contents.blob.map(|blob| (PartKind::Blob, blob)));
    parts.push((PartKind::Golden, &golden));
    parts.extend(corpus.as_ref().map(|corpus| (PartKind::Corpus, &corpus[..])));
    let mut bytes = Vec::new();
    write(&parts, counter, key.public(), |signed| key.sign(signed), &mut |piece| bytes.extend_from_slice(piece))?;
    let bundle = Bundle::from_bytes("bundle", bytes, &[key.public()])?;
    bundle.encoder_on(&contents.host)?;
    Ok(bundle)
}

fn manifest(
    contents: &BundleContents<'_>,
    encoder: &HostedEncoder,
    blob: Option<&BlobFile>,
    corpus: Option<&CorpusStatistics>,
) -> Result<Manifest, MakeError> {
    let feature_dim = encoder.feature_dim();
    if let Some(blob) = blob.filter(|blob| blob.feature_dim() != feature_dim) {
        return Err(MakeError::OtherBlob { blob: blob.feature_dim(), onnx: feature_dim });
    }
    let is_f16 = encoder.arithmetic() != Arithmetic::F32;
    let tolerance = contents.tolerance.unwrap_or(if is_f16 { F16_TOLERANCE } else { F32_TOLERANCE });
    let arena_bytes = blob.map(|blob| Ok::<_, BlobFileError>(4 * blob.blob()?.arena_words() as u64)).transpose()?;
    let known = encoder.provenance();
    let Origin { name, origin } = contents.origin.clone();
    Ok(Manifest {
        format: FORMAT_VERSION,
        name,
        encoder: EncoderCard {
            feature_dim,
            element: if is_f16 { "f16" } else { "f32" }.to_owned(),
            identity: identity(encoder, corpus).to_string(),
            spec: known.map(|known| known.encoder.clone()),
        },
        preprocessing: contents.preprocessing.clone(),
        labels: contents.labels.clone(),
        limits: Limits { arena_bytes, ..contents.limits },
        golden: GoldenCard { tolerance },
        provenance: Provenance {
            data: known.map(|known| known.data.clone()),
            method: known.map(|known| known.method.clone()),
            seed: known.map(|known| known.seed),
            origin,
            exported_by: known.map(|known| known.program_version.clone()),
            config_sha256: known.map(|known| known.config_sha256.clone()),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            program_commit: PROGRAM_COMMIT.to_owned(),
        },
    })
}
