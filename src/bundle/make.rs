//! Makes a bundle from an encoder.

use macula_edge::bundle::{CorpusPart, PartKind, write};

use super::encoder::{identity, open_onnx};
use super::{
    Bundle, EncoderCard, FORMAT_VERSION, GoldenCard, KeyPair, Limits, MakeError, Manifest, PROGRAM_COMMIT, Provenance,
    golden,
};
use crate::blob::{BlobFile, BlobFileError};
use crate::data::{Image, Preprocessing};
use crate::encoder::{CorpusStatistics, HostEncoder};
use crate::export::{F16_TOLERANCE, F32_TOLERANCE};
use crate::isolated::{HostedEncoder, IsolatedError, OnnxHost, Runtime};
use crate::runtime::Arithmetic;

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
        // Golden features come from the reference.
        let arithmetic = Some(Arithmetic::F16WidenedToF32);
        open_onnx(self.onnx_name, self.onnx, &self.preprocessing, arithmetic, &self.host, Runtime::Tract)
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
            teachers: known.map(|known| known.teachers.clone()).unwrap_or_default(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            program_commit: PROGRAM_COMMIT.to_owned(),
        },
    })
}
