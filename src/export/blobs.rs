//! The blobs of an export: int8 is calibrated, and each gets a golden image for its self-test.

use macula_edge::feature::CorpusStats;

use crate::blob::{
    Arithmetic, BlobFile, BlobFileError, BlobParts, Golden, Limits, MakeBlobError, ValueRange, Weights, calibrate, make,
};
use crate::data::Preprocessing;
use crate::encoder::FoldedEncoder;

/// Name of the f16 blob in the folder of an export.
pub const F16_BLOB_FILE: &str = "encoder.f16.blob";
/// Name of the int8 blob in the folder of an export.
pub const INT8_BLOB_FILE: &str = "encoder.int8.blob";
/// Largest error of an int8 blob: eight bits through some twenty layers. It finds broken blobs; the
/// cosine similarities and flips in the parity report show how coarse a blob is.
pub const INT8_TOLERANCE: f64 = 0.1;

/// A blob could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BlobsError {
    /// The encoder has no blob form or does not fit the device.
    #[error(transparent)]
    Make(#[from] MakeBlobError),
    /// The blob cannot be run.
    #[error(transparent)]
    Run(#[from] BlobFileError),
    /// There is no calibration image for int8.
    #[error("int8 needs at least one calibration image")]
    NoImages,
}

/// A blob that is not written yet.
pub struct MadeBlob {
    /// [`F16_BLOB_FILE`] or [`INT8_BLOB_FILE`].
    pub file: &'static str,
    /// Its name in the report.
    pub label: &'static str,
    /// Its arithmetic in the report.
    pub computed_in: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The blob, ready to run.
    pub encoder: BlobFile,
    /// Largest allowed error, as a share of a feature's length.
    pub tolerance: f64,
}

/// Everything that goes into the blobs.
pub struct BlobRequest<'a> {
    /// Graph and weights.
    pub encoder: &'a FoldedEncoder,
    /// How an image becomes the network's input.
    pub preprocessing: &'a Preprocessing,
    /// Statistics of the features over the corpus.
    pub corpus: Option<CorpusStats<'a>>,
    /// Unlabelled images of the input size, `[H, W, C]` each: the calibration set and the golden image.
    pub images: &'a [Vec<u8>],
    /// RAM and flash of the device.
    pub limits: Limits,
}

impl BlobRequest<'_> {
    /// The blob in `arithmetic`.
    ///
    /// # Errors
    /// When the encoder has no blob form or does not fit, or there is no calibration image.
    pub fn make(&self, arithmetic: Arithmetic, tolerance: f64) -> Result<MadeBlob, BlobsError> {
        let (file, label, computed_in) = match arithmetic {
            Arithmetic::F16 => (F16_BLOB_FILE, "f16 blob", "f32, by the device's code"),
            Arithmetic::Int8 => (INT8_BLOB_FILE, "int8 blob", "integers, with the bytes of the device"),
        };
        let ranges = match arithmetic {
            Arithmetic::F16 => None,
            Arithmetic::Int8 => Some(self.ranges()?),
        };
        let weights = ranges.as_deref().map_or(Weights::F16, Weights::Int8);
        let (encoder, preprocessing) = (self.encoder, self.preprocessing);
        let parts = BlobParts { encoder, preprocessing, weights, corpus: self.corpus, golden: None };
        let plain = make(&parts, self.limits)?;
        let opened = BlobFile::from_bytes(file, &plain)?;
        // An image whose feature has no direction is no golden image.
        let golden = self.images.iter().find_map(|pixels| Some((pixels, opened.quantised(pixels).ok()?)));
        let golden = golden.as_ref().map(|(pixels, feature)| Golden { pixels, feature });
        let bytes = make(&BlobParts { golden, ..parts }, self.limits)?;
        let encoder = BlobFile::from_bytes(file, &bytes)?;
        Ok(MadeBlob { file, label, computed_in, bytes, encoder, tolerance })
    }

    fn ranges(&self) -> Result<Vec<ValueRange>, BlobsError> {
        if self.images.is_empty() {
            return Err(BlobsError::NoImages);
        }
        let (encoder, preprocessing) = (self.encoder, self.preprocessing);
        let parts = BlobParts { encoder, preprocessing, weights: Weights::F16, corpus: None, golden: None };
        let watched = BlobFile::from_bytes("f16", &make(&parts, Limits::default())?)?;
        Ok(calibrate(&watched, &self.encoder.spec, self.images)?)
    }
}
