//! Which raw value is black and which is white.
//!
//! A sample of up to 16 bits has a natural range, 0 to its largest number, and a floating-point sample has 0 to 1. A
//! camera of 10 or 12 bits uses a small part of 16; only whoever made the images knows which. [`ValueRange`] says it.

use std::fmt;
use std::str::FromStr;

/// Raw values from black (`low`) to white (`high`); values outside are clamped.
///
/// It applies to samples of more than 8 bits, signed samples and floating-point samples. Unsigned samples of up to
/// 8 bits are taken as they are: a picture that was windowed to 8 bits has its range already.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ValueRange {
    /// The raw value that becomes 0.
    pub low: f64,
    /// The raw value that becomes 255, greater than `low`.
    pub high: f64,
}

/// The range that an encoder was made for, as far as it is known here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum EncoderRange {
    /// It, or none where the natural range of the samples is meant.
    Known(Option<ValueRange>),
    /// The encoder is on another device: images that take a range need a stated one.
    #[default]
    Unknown,
    /// The pixels are not looked at, only whether the images can be read.
    Irrelevant,
}

/// Two numbers that are no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is no range of raw values: LOW,HIGH is expected, two numbers of which HIGH is the larger")]
pub struct RangeError {
    /// What was given.
    pub found: String,
}

impl ValueRange {
    /// Checks that both are finite and `low < high`.
    ///
    /// # Errors
    /// When they are not.
    pub fn new(low: f64, high: f64) -> Result<Self, RangeError> {
        let range = Self { low, high };
        range.check().map(|()| range)
    }

    /// As [`Self::new`], for a range that was read from a file.
    ///
    /// # Errors
    /// When its values are not finite or not in order.
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
        // A float becomes the nearest integer of the target type: beyond the range it is clamped.
        ((value - self.low) / (self.high - self.low) * 255.0).round() as u8
    }

    /// The bytes that enter an identity, after all else: an encoder without a range keeps the identity that it had.
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
