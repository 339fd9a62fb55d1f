//! The feature that a request is about.

use super::Session;
use crate::encoder::{EncodeError, Encoder, encode_image};
use crate::feature::{Length, UNIT};
use crate::protocol::message::Input;
use crate::protocol::{Reason, Refusal, Reply};
use crate::store::Flash;

/// Allowed deviation of a feature's length from 1, in thousandths. Rounding to `i16` moves it by 1 in 1000 at 4096
/// dimensions.
const LENGTH_TOLERANCE_PERMILLE: u64 = 10;

impl<E: Encoder, F: Flash> Session<'_, E, F> {
    /// Writes the feature of `input` to `self.feature`; returns its length before normalisation, if known.
    pub(super) fn load_feature(&mut self, input: Input<'_>) -> Result<Option<Length>, Refusal> {
        match input {
            Input::Feature(bytes) => read_feature(bytes, self.feature).map(|()| None),
            Input::Measured(bytes, length) => read_feature(bytes, self.feature).map(|()| Some(Length(length))),
            Input::Image => {
                let image = self.stage.image()?;
                encode_image(&self.encoder, &image, self.work, self.feature).map_err(|error| {
                    self.fault = Some(error);
                    encode_refusal(error)
                })
            }
        }
    }

    pub(super) fn embed(&mut self, input: Input<'_>) -> Result<Reply<'_>, Refusal> {
        let length = self.load_feature(input)?.map(|Length(length)| length);
        Ok(Reply::Feature { feature: write_feature(self.feature, self.bytes), length })
    }
}

/// Reads a feature off the wire and checks that it has the device's dimension and length 1.
pub(super) fn read_feature(bytes: &[u8], feature: &mut [i16]) -> Result<(), Refusal> {
    let expected = 2 * feature.len();
    if bytes.len() != expected {
        return Err(Reason::FeatureBytes.with(bytes.len() as u64, expected as u64));
    }
    for (value, pair) in feature.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = i16::from_le_bytes(*pair);
    }
    let (found, unit) = (length(feature), UNIT as u64);
    match found.abs_diff(unit) * 1000 <= LENGTH_TOLERANCE_PERMILLE * unit {
        true => Ok(()),
        false => Err(Reason::FeatureLength.with(found, unit)),
    }
}

/// Length of a feature, rounded down; at most 32768 · 64.
pub(super) fn length(feature: &[i16]) -> u64 {
    let square: u64 = feature.iter().map(|&value| u64::from(value.unsigned_abs()).pow(2)).sum();
    square.isqrt()
}

/// Writes a feature as it goes over the wire; `bytes`: `[2 D]`.
pub(super) fn write_feature<'b>(feature: &[i16], bytes: &'b mut [u8]) -> &'b [u8] {
    for (pair, value) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(feature) {
        *pair = value.to_le_bytes();
    }
    bytes
}

/// The numbers of [`Reason::EncoderFailed`]: 1 the image, 2 the feature, from 100 on the encoder's own number plus 100.
fn encode_refusal(error: EncodeError) -> Refusal {
    let code = match error {
        EncodeError::Image(_) | EncodeError::Memory { .. } => 1,
        EncodeError::Feature(_) => 2,
        EncodeError::Encoder { code } => 100 + u64::from(code),
    };
    Reason::EncoderFailed.with(code, 0)
}
