//! The encoder in a bundle.

use std::time::Instant;

use macula_edge::bundle::{Golden, PartKind};

use super::{Bundle, OpenError};
use crate::blob::BlobFile;
use crate::data::{Image, Preprocessing};
use crate::encoder::{CorpusStatistics, EncodeError, EncoderId, HostEncoder, HostEncoderInfo, IdHash};
#[cfg(feature = "onnx")]
use crate::isolated::{HostedEncoder, IsolatedError};
use crate::isolated::{OnnxHost, Runtime};

/// The encoder of a bundle: the ONNX file if this build can run it, else the blob.
pub struct BundleEncoder {
    encoder: Box<dyn HostEncoder>,
    /// That of the encoder, with name, statistics and range of raw values from the bundle.
    info: HostEncoderInfo,
    /// The part of golden images, and its tolerance.
    golden: Vec<u8>,
    tolerance: f64,
    /// Where it runs, and its time limits.
    host: OnnxHost,
}

impl Bundle {
    /// Its encoder, tested on the golden images, and the largest error found.
    ///
    /// # Errors
    /// When this build cannot run the encoder, or its features differ from the signed ones.
    pub fn encoder(&self) -> Result<(BundleEncoder, f64), OpenError> {
        self.encoder_on(&OnnxHost::InProcess)
    }

    /// As [`Self::encoder`]; an ONNX encoder runs where `host` says, within its time limits.
    ///
    /// # Errors
    /// As [`Self::encoder`], and when the encoder takes too long.
    pub fn encoder_on(&self, host: &OnnxHost) -> Result<(BundleEncoder, f64), OpenError> {
        let encoder = BundleEncoder::of(self, host)?;
        match encoder.check() {
            Ok(worst) => Ok((encoder, worst)),
            // The native engine computes only what agrees with the golden images; tract is the reference.
            Err(OpenError::Golden { .. }) if host.runtime() == Runtime::Auto => {
                let encoder = BundleEncoder::by(Runtime::Tract, self, host)?;
                let worst = encoder.check()?;
                Ok((encoder, worst))
            }
            Err(error) => Err(error),
        }
    }
}

impl BundleEncoder {
    /// # Errors
    /// When the bundle has no encoder that this build can run, or its encoder is not that of the manifest.
    pub(super) fn of(bundle: &Bundle, host: &OnnxHost) -> Result<Self, OpenError> {
        Self::by(host.runtime(), bundle, host)
    }

    /// As [`Self::of`]; `runtime` computes the encoder.
    fn by(runtime: Runtime, bundle: &Bundle, host: &OnnxHost) -> Result<Self, OpenError> {
        let (encoder, is_onnx) = open(bundle, host, runtime)?;
        let manifest = bundle.manifest();
        let (found, stated) = (encoder.feature_dim(), manifest.encoder.feature_dim);
        if found != stated {
            let message = format!("its features have {found} dimensions, the manifest says {stated}");
            return Err(bundle.unreadable(PartKind::Onnx, &message));
        }
        let added = bundle.corpus()?;
        let id = identity(&*encoder, added.as_ref());
        if is_onnx && id.to_string() != manifest.encoder.identity {
            return Err(bundle.unreadable(PartKind::Onnx, "it is not the encoder of the manifest"));
        }
        let corpus = encoder.corpus().cloned().or(added);
        bundle.golden()?;
        let golden = bundle.needed(PartKind::Golden)?.to_vec();
        let (name, tolerance) = (bundle.name().to_owned(), manifest.golden.tolerance);
        let host = host.clone();
        let preprocessing = Preprocessing { range: manifest.preprocessing.range, ..encoder.preprocessing().clone() };
        let info = HostEncoderInfo { name, id, preprocessing, corpus, ..encoder.info().clone() };
        Ok(Self { encoder, info, golden, tolerance, host })
    }

    /// Encodes the golden images. Returns the largest error, as a share of a feature's length.
    ///
    /// # Errors
    /// When the error exceeds the tolerance of the manifest, or the images take too long.
    pub fn check(&self) -> Result<f64, OpenError> {
        let (name, tolerance) = (&self.info.name, &self.tolerance);
        // Opening the bundle has checked this.
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
            let pixels = self.info.preprocessing.to_pixels(&raw).pixels;
            let found = self.encode_batch(&pixels).map_err(|source| match self.host.is_stopped() {
                true => OpenError::Stopped { path: name.clone() },
                false => OpenError::Encode { image, source },
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

/// The digest of everything that determines quantised features. The digest of an encoder with its own statistics
/// already covers them.
pub(super) fn identity(encoder: &dyn HostEncoder, added: Option<&CorpusStatistics>) -> EncoderId {
    let Some(CorpusStatistics { mean, std, length_max }) = added.filter(|_| encoder.corpus().is_none()) else {
        return encoder.id();
    };
    let hash = IdHash::new(encoder.id().0).values(mean.iter().chain(std));
    hash.bytes(length_max.unwrap_or(0).to_le_bytes()).finish()
}

/// The encoder, and whether it is the ONNX file.
fn open(bundle: &Bundle, host: &OnnxHost, runtime: Runtime) -> Result<(Box<dyn HostEncoder>, bool), OpenError> {
    #[cfg(feature = "onnx")]
    if let Some(onnx) = bundle.part(PartKind::Onnx) {
        let encoder =
            open_onnx(bundle.name(), onnx, &bundle.manifest().preprocessing, None, host, runtime).map_err(|error| {
                match error {
                    IsolatedError::Stopped { encoder } => OpenError::Stopped { path: encoder },
                    error => bundle.unreadable(PartKind::Onnx, &error.to_string()),
                }
            })?;
        return Ok((Box::new(encoder), true));
    }
    #[cfg(not(feature = "onnx"))]
    let _ = (host, runtime);
    let blob = BlobFile::from_bytes(bundle.name(), bundle.needed(PartKind::Blob)?)
        .map_err(|error| bundle.unreadable(PartKind::Blob, &error.to_string()))?;
    Ok((Box::new(blob), false))
}

/// Opens an ONNX file with the preprocessing of a manifest. If the file states the same itself, its identity is that of the
/// bare file, and a store of the bare file can go on with the bundle.
#[cfg(feature = "onnx")]
pub(super) fn open_onnx(
    name: &str,
    bytes: &[u8],
    preprocessing: &Preprocessing,
    arithmetic: Option<crate::runtime::Arithmetic>,
    host: &OnnxHost,
    runtime: Runtime,
) -> Result<HostedEncoder, IsolatedError> {
    use crate::runtime::{Declared, OpenOptions, decode};
    let model = decode(bytes, name)?;
    let own = Declared::of(&model, name)?.preprocessing;
    let preprocessing = Some(preprocessing).filter(|wanted| own.as_ref() != Some(*wanted)).cloned();
    let options = OpenOptions { preprocessing, arithmetic };
    host.open_decoded(runtime, name, None, bytes, model, &options)
}

impl HostEncoder for BundleEncoder {
    fn info(&self) -> &HostEncoderInfo {
        &self.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        self.encoder.encode_batch(pixels)
    }

    fn self_test(&self) -> Option<bool> {
        Some(self.check().is_ok())
    }
}
