//! The raw values that become black and white.
//!
//! The natural range of an unsigned sample of up to 16 bits is 0 to its largest value, that of a floating-point sample 0
//! to 1. A camera of 10 or 12 bits uses a small part of 16 bits; [`ValueRange`] states which.

use std::fmt;
use std::str::FromStr;

/// Raw values from black (`low`) to white (`high`). Values outside are clamped.
///
/// It applies to signed and floating-point samples and to samples of more than 8 bits. Unsigned samples of up to 8 bits
/// are not mapped: their range was chosen when they were converted to 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ValueRange {
    /// The raw value that becomes 0.
    pub low: f64,
    /// The raw value that becomes 255, greater than `low`.
    pub high: f64,
}

/// The range of the images an encoder was trained on, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum EncoderRange {
    /// The range, or none for the natural range of the samples.
    Known(Option<ValueRange>),
    /// The encoder is on a device: images of more than 8 bits need a stated range.
    #[default]
    Unknown,
    /// Only readability matters, not the pixels.
    Irrelevant,
}

/// A text or two numbers that are not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is not a range of raw values; expected LOW,HIGH with LOW below HIGH")]
pub struct RangeError {
    /// What was found.
    pub found: String,
}

impl ValueRange {
    /// Checks that both are finite and `low < high`.
    ///
    /// # Errors
    /// If they are not.
    pub fn new(low: f64, high: f64) -> Result<Self, RangeError> {
        let range = Self { low, high };
        range.check().map(|()| range)
    }

    /// [`Self::new`] for a range that was read from a file.
    ///
    /// # Errors
    /// If the values are not finite or not in order.
    pub fn check(&self) -> Result<(), RangeError> {
        let Self { low, high } = *self;
        // The difference of two finite numbers may be infinite.
        match low < high && (high - low).is_finite() {
            true => Ok(()),
            false => Err(RangeError { found: self.to_string() }),
        }
    }

    /// `value` in units of 8-bit grey levels, rounded and clamped.
    pub fn to_byte(self, value: f64) -> u8 {
        // The cast saturates, which clamps values outside the range.
        ((value - self.low) / (self.high - self.low) * 255.0).round() as u8
    }

    /// Bytes of the range in the identity of an encoder. They are last, so that an encoder without a range keeps its
    /// identity.
    pub fn identity_bytes(self) -> Vec<u8> {
        let Self { low, high } = self;
        [b" range ".as_slice(), &low.to_le_bytes(), &high.to_le_bytes()].concat()
    }
}

impl fmt::Display for ValueRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{},{}", self.low, self.high)
    }
}

impl FromStr for ValueRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let refuse = || RangeError { found: text.to_owned() };
        let (low, high) = text.split_once(',').ok_or_else(refuse)?;
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| refuse());
        Self::new(number(low)?, number(high)?).map_err(|_| refuse())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_two_numbers_in_order() {
        assert_eq!("0,1023".parse(), ValueRange::new(0.0, 1023.0));
        assert_eq!(" -1024 , 3071.5".parse(), ValueRange::new(-1024.0, 3071.5));
        for bad in ["", "1", "1,1", "2,1", "0,NaN", "-inf,0", "0,1,2", "a,b", "-1.7e308,1.7e308"] {
            assert_eq!(bad.parse::<ValueRange>().unwrap_err().found, bad);
        }
    }

    #[test]
    fn values_become_the_nearest_of_256_levels() {
        let range = ValueRange { low: 0.0, high: 1023.0 };
        assert_eq!(
            [0.0, 2.0, 2.1, 511.5, 1023.0, 5000.0, -3.0].map(|value| range.to_byte(value)),
            [0, 0, 1, 128, 255, 255, 0]
        );
        let natural = ValueRange { low: 0.0, high: 65_535.0 };
        for value in 0..=u16::MAX {
            let rounded = ((u32::from(value) * 255 + 32_767) / 65_535) as u8;
            assert_eq!(natural.to_byte(f64::from(value)), rounded);
        }
    }
}
