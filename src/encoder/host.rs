//! An encoder on the host: many images at a time, and errors in words.

use macula_edge::encoder::EncoderInfo;
use rayon::prelude::*;

use super::corpus::CorpusStatistics;
use super::id::EncoderId;
use super::tile_features::TileFeatures;
use crate::data::{Area, Image, Preprocessing};

/// Facts about an encoder that do not need a run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HostEncoderInfo {
    /// Its name in reports and errors: `run RUN`, `FILE.onnx`, `raw-pixels`, `random:nano`.
    pub name: String,
    /// Equal identities give equal features.
    pub id: EncoderId,
    /// Feature dimensions, `D`.
    pub feature_dim: usize,
    /// How an image becomes its input.
    pub preprocessing: Preprocessing,
    /// Statistics of the features over the unlabelled corpus, where they were measured.
    pub corpus: Option<CorpusStatistics>,
    /// The precision that it computes in, for reports.
    pub arithmetic: String,
}

impl HostEncoderInfo {
    /// The same for a device that runs the encoder on this machine.
    pub fn on_device(&self) -> EncoderInfo<'_> {
        EncoderInfo {
            identity: self.id.short(),
            input: self.preprocessing.shape().ok(),
            dim: self.feature_dim,
            arena_words: 0,
            corpus: self.corpus.as_ref().map(CorpusStatistics::view),
        }
    }
}

/// An encoder that runs on the host. [`crate::device::DeviceEncoder`] makes it the [`macula_edge::encoder::Encoder`] of
/// a device.
pub trait HostEncoder: Send + Sync {
    /// Facts about it.
    fn info(&self) -> &HostEncoderInfo;

    /// Features `[N, D]` of N images of the input size, `pixels` `[N, height, width, channels]`.
    ///
    /// The feature of an image does not depend on the other images of the call.
    ///
    /// # Errors
    /// When the encoder fails on an image, or a feature is not finite.
    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError>;

    /// Feature `[D]` of one image of any size.
    ///
    /// # Errors
    /// As [`Self::encode_batch`].
    fn encode_image(&self, image: &Image) -> Result<Vec<f32>, EncodeError> {
        self.encode_batch(&self.preprocessing().to_pixels(image).pixels)
    }

    /// Whether it reads more of an image than is left at the input size. Then only [`Self::encode_image`] gives the feature of
    /// an image.
    fn is_tiled(&self) -> bool {
        false
    }

    /// Features of the tiles of one image; the whole image is the only tile unless [`Self::is_tiled`].
    ///
    /// # Errors
    /// As [`Self::encode_image`].
    fn tile_features(&self, image: &Image) -> Result<TileFeatures, EncodeError> {
        let whole = Area { left: 0.0, top: 0.0, width: image.width as f32, height: image.height as f32 };
        Ok(TileFeatures { dim: self.feature_dim(), rows: self.encode_image(image)?, areas: vec![whole] })
    }

    /// Whether the golden images give their features; `None` for an encoder without golden images.
    fn self_test(&self) -> Option<bool> {
        None
    }

    /// [`HostEncoderInfo::name`].
    fn name(&self) -> &str {
        &self.info().name
    }

    /// [`HostEncoderInfo::id`].
    fn id(&self) -> EncoderId {
        self.info().id
    }

    /// [`HostEncoderInfo::feature_dim`].
    fn feature_dim(&self) -> usize {
        self.info().feature_dim
    }

    /// [`HostEncoderInfo::preprocessing`].
    fn preprocessing(&self) -> &Preprocessing {
        &self.info().preprocessing
    }

    /// [`HostEncoderInfo::corpus`].
    fn corpus(&self) -> Option<&CorpusStatistics> {
        self.info().corpus.as_ref()
    }
}

/// Encodes N images one by one on all threads: what [`HostEncoder::encode_batch`] does for an encoder of single images.
///
/// * `images`: pixels or normalised values, `[N, height, width, channels]`
/// * `encode`: writes the feature `[D]` of one image; its error is in words
///
/// # Errors
/// When `images` is not a whole number of images, `encode` fails, or a feature is not finite.
pub fn encode_each<T: Sync>(
    info: &HostEncoderInfo,
    images: &[T],
    encode: impl Fn(&[T], &mut [f32]) -> Result<(), String> + Sync,
) -> Result<Vec<f32>, EncodeError> {
    let (image_len, dim) = (info.preprocessing.input_len(), info.feature_dim);
    let failed = |message| EncodeError::Encoder { encoder: info.name.clone(), message };
    if !images.len().is_multiple_of(image_len) {
        return Err(failed(format!("input of {} values is not a whole number of images of {image_len}", images.len())));
    }
    let mut features = vec![0.0; images.len() / image_len * dim];
    (images.par_chunks(image_len), features.par_chunks_mut(dim))
        .into_par_iter()
        .try_for_each(|(image, feature)| encode(image, feature))
        .map_err(failed)?;
    require_finite(info, features)
}

/// Returns `features` `[N, D]`, all of whose values are finite.
///
/// # Errors
/// The first value that is not.
pub fn require_finite(info: &HostEncoderInfo, features: Vec<f32>) -> Result<Vec<f32>, EncodeError> {
    match features.iter().position(|value| !value.is_finite()) {
        None => Ok(features),
        Some(at) => Err(EncodeError::NotFinite {
            encoder: info.name.clone(),
            image: at / info.feature_dim,
            position: at % info.feature_dim,
            value: features[at],
        }),
    }
}

/// An image could not be turned into a feature.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The encoder failed.
    #[error("{encoder}: {message}")]
    Encoder {
        /// Name of the encoder.
        encoder: String,
        /// Its own message.
        message: String,
    },
    /// A feature holds a value that is not finite.
    #[error("{encoder}: feature {position} of image {image} is {value}, which is not finite")]
    NotFinite {
        /// Name of the encoder.
        encoder: String,
        /// Index of the image in the call.
        image: usize,
        /// Index in the feature.
        position: usize,
        /// What was found.
        value: f32,
    },
}

impl EncodeError {
    /// The error with the name of the only image of the call.
    #[must_use]
    pub fn of_image(self, name: &str) -> Self {
        let named = |encoder, message: String| Self::Encoder { encoder, message: format!("{name}: {message}") };
        match self {
            Self::Encoder { encoder, message } => named(encoder, message),
            Self::NotFinite { encoder, position, value, .. } => {
                named(encoder, format!("feature {position} is {value}, which is not finite"))
            }
        }
    }
}

/// The order of the dimensions of an ONNX input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[N, C, H, W]`, as PyTorch exports.
    #[default]
    Nchw,
    /// `[N, H, W, C]`, as TensorFlow exports.
    Nhwc,
}

impl Layout {
    /// `nchw` or `nhwc`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nchw => "nchw",
            Self::Nhwc => "nhwc",
        }
    }
}
