//! An encoder of the host as the encoder of a device.

use std::cell::RefCell;

use macula_edge::encoder::{EncodeError, Encoder, EncoderInfo, encode_image};
use macula_edge::feature::Length;
use macula_edge::image::{ImageError, RawImage, Recipe, SIDE_MAX};

use crate::data::Image;
use crate::encoder::HostEncoder;
use crate::link::Feature;

/// The error number of every fault; the message goes to the log.
const ENCODER_FAULT: u32 = 1;

/// Runs an encoder of the host in a device's session, and keeps the message of its last error for the log.
pub struct DeviceEncoder<'e> {
    encoder: &'e dyn HostEncoder,
    message: RefCell<Option<String>>,
}

impl<'e> DeviceEncoder<'e> {
    /// Wraps an encoder of the host.
    pub fn new(encoder: &'e dyn HostEncoder) -> Self {
        Self { encoder, message: RefCell::new(None) }
    }

    /// Words of memory for [`encode_image`] of images up to `width_max` columns.
    pub fn work_words(&self, width_max: usize) -> usize {
        let info = self.info();
        let scratch = info.input.map_or(0, |input| Recipe::scratch_len(input, width_max));
        info.work_words() + scratch
    }

    /// [`Self::work_words`] of the widest image.
    pub fn work_words_max(&self) -> usize {
        self.work_words(SIDE_MAX)
    }

    /// The message of `error`, the last error of this encoder.
    pub fn describe(&self, error: EncodeError) -> String {
        let own = self.message.take();
        own.unwrap_or_else(|| format!("{}: {error}", self.encoder.name()))
    }

    /// The quantised feature `[D]` of `image`, and its length before normalisation.
    ///
    /// # Errors
    /// The message of the encoder.
    pub fn encode(&self, image: &Image) -> Result<(Vec<i16>, Option<Length>), String> {
        let (mut work, mut feature) = (vec![0; self.work_words(image.width)], vec![0; self.encoder.feature_dim()]);
        let raw = RawImage::new(image.width, image.height, image.channels, &image.pixels);
        let length = raw.map_err(ImageError::into).and_then(|raw| encode_image(self, &raw, &mut work, &mut feature));
        Ok((feature, length.map_err(|error| self.describe(error))?))
    }
}

impl Encoder for DeviceEncoder<'_> {
    fn info(&self) -> EncoderInfo<'_> {
        self.encoder.info().on_device()
    }

    fn encode(&self, pixels: &[u8], _: &mut [u32], feature: &mut [f32]) -> Result<(), EncodeError> {
        let values = self.encoder.encode_batch(pixels).map_err(|error| {
            self.message.replace(Some(error.to_string()));
            EncodeError::Encoder { code: ENCODER_FAULT }
        })?;
        feature.copy_from_slice(&values);
        Ok(())
    }

    fn encode_any_size(&self, image: &RawImage<'_>, feature: &mut [f32]) -> Option<Result<(), EncodeError>> {
        if !self.encoder.is_tiled() {
            return None;
        }
        let shape = image.shape();
        let (width, height, channels) = (shape.width(), shape.height(), shape.channels());
        let image = Image { width, height, channels, pixels: image.pixels().to_vec() };
        let encoded = self.encoder.encode_image(&image).map_err(|error| {
            self.message.replace(Some(error.to_string()));
            EncodeError::Encoder { code: ENCODER_FAULT }
        });
        Some(encoded.map(|values| feature.copy_from_slice(&values)))
    }

    fn self_test(&self, _: &mut [u32], _: &mut [i16]) -> Result<Option<bool>, EncodeError> {
        Ok(self.encoder.self_test())
    }
}

/// The feature of `image` as a device with this encoder makes it, for a device without an encoder.
///
/// # Errors
/// The message of the encoder.
pub fn feature_of(encoder: &dyn HostEncoder, image: &Image) -> Result<Feature, String> {
    let (feature, length) = DeviceEncoder::new(encoder).encode(image)?;
    let values = feature.iter().flat_map(|value| value.to_le_bytes()).collect();
    Ok(Feature { values, length: length.map(|Length(length)| length) })
}
