//! An encoder of the desk as the one of a device.

use macula_edge::encoder::{CorpusStats, EmbedError, Embedder as DeviceEmbedder};
use macula_edge::feature::{Corpus, Length, length, quantise};
use macula_edge::image::RawImage;

use crate::data::Image;
use crate::encoder::Embedder;
use crate::link::Feature;

/// The encoder's own number for a fault that it cannot put in a device's words.
const ENCODER_FAULT: u32 = 1;

/// Runs an encoder of the desk behind the device's session.
pub struct DeskEncoder<'e> {
    encoder: &'e dyn Embedder,
    complain: &'e dyn Fn(&str),
    /// Of the feature that was made last.
    length: Option<Length>,
}

impl<'e> DeskEncoder<'e> {
    /// * `complain`: is told what went wrong in a sentence; the wire has a number for it only
    pub fn new(encoder: &'e dyn Embedder, complain: &'e dyn Fn(&str)) -> Self {
        Self { encoder, complain, length: None }
    }

    /// Whom it tells what went wrong.
    pub(super) fn complain(&self) -> &'e dyn Fn(&str) {
        self.complain
    }

    /// Channels of an image that the encoder sees.
    pub fn channels(&self) -> u8 {
        self.encoder.preprocessing().channels as u8
    }
}

/// The first 16 bytes of an encoder's identity, by which devices know it.
pub fn fingerprint(encoder: &dyn Embedder) -> [u8; 16] {
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&encoder.identity()[..16]);
    fingerprint
}

impl DeviceEmbedder for DeskEncoder<'_> {
    fn identity(&self) -> [u8; 16] {
        fingerprint(self.encoder)
    }

    fn dim(&self) -> usize {
        self.encoder.feature_dim()
    }

    fn corpus(&self) -> CorpusStats {
        let length_max = self.encoder.corpus().and_then(|corpus| corpus.length_max).map(Length);
        CorpusStats { length_max }
    }

    fn embed(&mut self, image: &RawImage<'_>, feature: &mut [i16]) -> Result<(), EmbedError> {
        let shape = image.shape();
        let (width, height, channels) = (shape.width(), shape.height(), shape.channels());
        let image = Image { width, height, channels, pixels: image.pixels().to_vec() };
        self.length = measure(self.encoder, &image, feature).map_err(|(code, message)| {
            (self.complain)(&message);
            code
        })?;
        Ok(())
    }

    fn length(&self) -> Option<Length> {
        self.length
    }

    fn self_test(&mut self, _: &mut [i16]) -> Result<Option<bool>, EmbedError> {
        Ok(self.encoder.self_test())
    }
}

/// The feature of `image` as a device of this encoder would make it, for one that has no encoder of its own.
///
/// # Errors
/// When the encoder fails, in a sentence.
pub fn feature_of(encoder: &dyn Embedder, image: &Image) -> Result<Feature, String> {
    let mut feature = vec![0; encoder.feature_dim()];
    let length = measure(encoder, image, &mut feature).map_err(|(_, message)| message)?;
    let values = feature.iter().flat_map(|value| value.to_le_bytes()).collect();
    Ok(Feature { values, length: length.map(|Length(length)| length) })
}

/// Writes the quantised feature, `[D]`; gives the length it had where the encoder knows its corpus. What goes wrong is
/// told in a device's words and in a sentence.
fn measure(encoder: &dyn Embedder, image: &Image, feature: &mut [i16]) -> Result<Option<Length>, (EmbedError, String)> {
    let input = encoder.preprocessing().apply(image);
    let values = encoder
        .embed_input(&input)
        .map_err(|error| (EmbedError::Encoder { code: ENCODER_FAULT }, error.to_string()))?;
    let corpus = encoder.corpus().map(|corpus| Corpus { mean: &corpus.mean, std: &corpus.std });
    quantise(&values, corpus, feature)
        .and_then(|()| corpus.map(|corpus| length(&values, corpus)).transpose())
        .map_err(|error| (EmbedError::Feature(error), format!("{}: {error}", encoder.name())))
}
