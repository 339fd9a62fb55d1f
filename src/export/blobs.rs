//! The blobs of an export: each made, calibrated where it is int8, and given an image to test itself on.

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
/// Largest error of an int8 blob: eight bits through some twenty layers. Features are compared by their direction, and
/// parity counts what classes change; this bound finds what is broken, not what is coarse.
pub const INT8_TOLERANCE: f64 = 0.1;

/// A blob could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BlobsError {
    /// The encoder cannot be expressed, or does not fit the device.
    #[error(transparent)]
    Make(#[from] MakeBlobError),
    /// What was made cannot be run.
    #[error(transparent)]
    Run(#[from] BlobFileError),
    /// int8 needs images.
    #[error("no image to calibrate int8 on")]
    NoImages,
}

/// A blob, not yet written.
pub struct MadeBlob {
    /// [`F16_BLOB_FILE`] or [`INT8_BLOB_FILE`].
    pub file: &'static str,
    /// What the report calls it.
    pub label: &'static str,
    /// What the report says of how it is computed.
    pub computed_in: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// The same, ready to run.
    pub encoder: BlobFile,
    /// Largest error allowed, as a share of a feature's length.
    pub tolerance: f64,
}

/// What blobs are made of.
pub struct BlobRequest<'a> {
    /// Graph and weights.
    pub encoder: &'a FoldedEncoder,
    /// From pixels to the network's input.
    pub preprocessing: &'a Preprocessing,
    /// Statistics of the features over the corpus.
    pub corpus: Option<CorpusStats<'a>>,
    /// Unlabelled images of the network's size, `[H, W, C]` each; the first is the one of the self-test.
    pub images: &'a [Vec<u8>],
    /// What the device has to spare.
    pub limits: Limits,
}

impl BlobRequest<'_> {
    /// The blob in `arithmetic`.
    ///
    /// # Errors
    /// An encoder that cannot be expressed or does not fit, or no image to calibrate on.
    pub fn make(&self, arithmetic: Arithmetic, tolerance: f64) -> Result<MadeBlob, BlobsError> {
        let (file, label, computed_in) = match arithmetic {
            Arithmetic::F16 => (F16_BLOB_FILE, "f16 blob", "f32, by the device's code"),
            Arithmetic::Int8 => (INT8_BLOB_FILE, "int8 blob", "integers, by the device's code"),
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
        // An image whose feature has no direction tests nothing.
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
