//! From an encoder to a bundle.

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

/// No bundle can be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The ONNX file is no encoder.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The encoder cannot be opened or run.
    #[error(transparent)]
    Isolated(#[from] IsolatedError),
    /// The blob is none.
    #[error(transparent)]
    Blob(#[from] BlobFileError),
    /// Blob and ONNX file are not one encoder.
    #[error("the blob gives features of {blob} dimensions, the ONNX file of {onnx}: they are not one encoder")]
    OtherBlob {
        /// Dimensions of the blob's features.
        blob: usize,
        /// Dimensions of the ONNX file's.
        onnx: usize,
    },
    /// The encoder failed on a golden image.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// An image cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An image is none.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The corpus could not be measured.
    #[error(transparent)]
    Parity(#[from] ParityError),
    /// Features are of no use.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// There is no golden image.
    #[error("a bundle needs at least one golden image")]
    NoGolden,
    /// Golden images that test nothing.
    #[error("the encoder gives all golden images the same feature, or one of zeros: it is dead, or they are alike")]
    DeadGolden,
    /// Reference features of another size.
    #[error("the reference has {found} values; {images} images of {dim} dimensions have {}", images * dim)]
    ReferenceSize {
        /// Values there are.
        found: usize,
        /// Golden images.
        images: usize,
        /// Dimensions of a feature.
        dim: usize,
    },
    /// A reference feature that is none.
    #[error("value {position} of row {image} of the reference is {value}, which is not finite")]
    ReferenceValue {
        /// The row, counted from 0.
        image: usize,
        /// The position in it.
        position: usize,
        /// What was found.
        value: f32,
    },
    /// A corpus of one image, or of images that are alike.
    #[error("all images of the corpus have the same feature; give images that differ")]
    NoCorpus,
    /// The manifest is none that a device could use.
    #[error("{0}")]
    Manifest(String),
    /// The parts make no bundle.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What was made cannot be opened again.
    #[error("the bundle that was made cannot be used: {0}")]
    Made(#[from] OpenError),
}

/// What is said of an encoder's origin beside what its file tells.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// What people call the encoder.
    pub name: String,
    /// What is said of an encoder from elsewhere.
    pub origin: Option<String>,
}

/// What a bundle is made of.
pub struct Ingredients<'a> {
    /// What the ONNX file is called in errors.
    pub onnx_name: &'a str,
    /// The ONNX file, whole.
    pub onnx: &'a [u8],
    /// The same encoder for a bare chip.
    pub blob: Option<&'a [u8]>,
    /// How a raw image becomes its input.
    pub preprocessing: Preprocessing,
    /// Its features over the corpus; where it is none, what the ONNX file says.
    pub corpus: Option<CorpusStatistics>,
    /// Raw images whose features are kept.
    pub golden: Vec<Image>,
    /// Features `[N, D]` of the golden images that another runtime gave; the encoder must give the same within the
    /// tolerance. None: what the encoder gives here.
    pub reference: Option<Vec<f32>>,
    /// The largest difference of a golden feature; none: what the element type of the file allows.
    pub tolerance: Option<f64>,
    /// Names of classes that may be taught.
    pub labels: Vec<String>,
    /// Classes and supports, at most.
    pub limits: Limits,
    /// Where it comes from.
    pub origin: Origin,
    /// Where the encoder runs.
    pub host: OnnxHost,
}

impl Ingredients<'_> {
    /// The encoder as a device will run it, with f16 weights in f32 arithmetic: what golden features are made with.
    ///
    /// # Errors
    /// A file that is no encoder.
    pub fn encoder(&self) -> Result<HostedEncoder, IsolatedError> {
        open_onnx(self.onnx_name, self.onnx, &self.preprocessing, Some(Arithmetic::F16WidenedToF32), &self.host)
    }
}

/// Makes the bundle, signs it, and opens it again, so that what is written is known to be taken.
///
/// # Errors
/// See [`MakeError`].
pub fn make(ingredients: &Ingredients<'_>, counter: u64, key: &KeyPair) -> Result<Bundle, MakeError> {
    let encoder = ingredients.encoder()?;
    let blob = ingredients.blob.map(|bytes| BlobFile::from_bytes("blob", bytes)).transpose()?;
    let corpus = ingredients.corpus.as_ref().or_else(|| encoder.corpus());
    let manifest = manifest(ingredients, &encoder, blob.as_ref(), corpus)?;
    manifest.check().map_err(MakeError::Manifest)?;
    let json = manifest.to_json().map_err(|error| MakeError::Manifest(error.to_string()))?;
    let golden = golden::part(&encoder, &ingredients.golden, ingredients.reference.as_deref())?;
    let corpus = corpus.map(|corpus| {
        let mut part = Vec::new();
        CorpusPart::write(corpus.view(), &mut |piece| part.extend_from_slice(piece));
        part
    });
    let mut parts: Vec<(PartKind, &[u8])> = vec![(PartKind::Manifest, &json), (PartKind::Onnx, ingredients.onnx)];
    parts.extend(ingredients.blob.map(|blob| (PartKind::Blob, blob)));
    parts.push((PartKind::Golden, &golden));
    parts.extend(corpus.as_ref().map(|corpus| (PartKind::Corpus, &corpus[..])));
    let mut bytes = Vec::new();
    write(&parts, counter, key.public(), |signed| key.sign(signed), &mut |piece| bytes.extend_from_slice(piece))?;
    let bundle = Bundle::from_bytes("bundle", bytes, &[key.public()])?;
    bundle.encoder_on(&ingredients.host)?;
    Ok(bundle)
}

fn manifest(
    ingredients: &Ingredients<'_>,
    encoder: &HostedEncoder,
    blob: Option<&BlobFile>,
    corpus: Option<&CorpusStatistics>,
) -> Result<Manifest, MakeError> {
    let feature_dim = encoder.feature_dim();
    if let Some(blob) = blob.filter(|blob| blob.feature_dim() != feature_dim) {
        return Err(MakeError::OtherBlob { blob: blob.feature_dim(), onnx: feature_dim });
    }
    let is_f16 = encoder.arithmetic() != Arithmetic::F32;
    let tolerance = ingredients.tolerance.unwrap_or(if is_f16 { F16_TOLERANCE } else { F32_TOLERANCE });
    let arena_bytes = blob.map(|blob| Ok::<_, BlobFileError>(4 * blob.blob()?.arena_words() as u64)).transpose()?;
    let told = encoder.provenance();
    let Origin { name, origin } = ingredients.origin.clone();
    Ok(Manifest {
        format: FORMAT_VERSION,
        name,
        encoder: EncoderCard {
            feature_dim,
            element: if is_f16 { "f16" } else { "f32" }.to_owned(),
            identity: identity(encoder, corpus).to_string(),
            spec: told.map(|told| told.encoder.clone()),
        },
        preprocessing: ingredients.preprocessing.clone(),
        labels: ingredients.labels.clone(),
        limits: Limits { arena_bytes, ..ingredients.limits },
        golden: GoldenCard { tolerance },
        provenance: Provenance {
            data: told.map(|told| told.data.clone()),
            method: told.map(|told| told.method.clone()),
            seed: told.map(|told| told.seed),
            origin,
            exported_by: told.map(|told| told.program_version.clone()),
            config_sha256: told.map(|told| told.config_sha256.clone()),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            program_commit: PROGRAM_COMMIT.to_owned(),
        },
    })
}
