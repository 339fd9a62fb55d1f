//! Which tiles an image is cut into, as a text: `2`, `1+4,overlap=0.5,empty=4,max=8192`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Smallest and largest scale, in pixels of the image per pixel of a tile.
const SCALES: std::ops::RangeInclusive<f32> = 0.125..=256.0;

/// Most scales of one specification.
const SCALES_MAX: usize = 8;

/// Largest overlap of neighbouring tiles, as a share of their side.
const OVERLAP_MAX: f32 = 0.97;

/// Most tiles that may be allowed for an image.
const TILES_ALLOWED_MAX: usize = 1 << 20;

/// How an image is cut into tiles of an encoder's input size.
///
/// As a text: scales joined by `+`, then `overlap=SHARE`, `empty=LEVELS` and `max=N` where they are not the default.
/// Equal specifications have equal texts.
#[derive(Clone, Debug, PartialEq)]
pub struct TileSpec {
    /// Pixels of the image per pixel of a tile, ascending, each 0.125 to 256. At 1 a tile shows the image as it is; at 4 a
    /// tile of 64 pixels shows 256 pixels of the image.
    scales: Vec<f32>,
    /// Share of a tile that its neighbour shows too, 0 to 0.97.
    overlap: f32,
    /// A tile whose brightness has a standard deviation below this many of 255 levels is empty, such as the border of a
    /// retinal photograph or the glass of a slide; 0 keeps all.
    empty: f32,
    /// Most tiles per image; an image with more is refused.
    max: usize,
}

impl TileSpec {
    /// Tiles of an image at most, unless stated: 64 × 64, as 4,096 × 4,096 pixels at scale 1 in tiles of 64 pixels.
    pub const MAX: usize = 4_096;

    /// Standard deviation of an empty tile, unless stated: noise and compression of a uniform background stay below it.
    pub const EMPTY: f32 = 3.0;

    /// Tiles at one scale, side by side.
    ///
    /// # Errors
    /// If the scale is out of range.
    pub fn at_scale(scale: f32) -> Result<Self, TileSpecError> {
        Self { scales: vec![scale], overlap: 0.0, empty: Self::EMPTY, max: Self::MAX }.checked()
    }

    /// The same with this overlap.
    ///
    /// # Errors
    /// If the overlap is out of range.
    pub fn with_overlap(self, overlap: f32) -> Result<Self, TileSpecError> {
        Self { overlap, ..self }.checked()
    }

    /// The same with this limit of a tile's standard deviation; 0 keeps all tiles.
    ///
    /// # Errors
    /// If the limit is out of range.
    pub fn with_empty(self, empty: f32) -> Result<Self, TileSpecError> {
        Self { empty, ..self }.checked()
    }

    /// Pixels of the image per pixel of a tile, ascending.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Share of a tile that its neighbour shows too.
    pub fn overlap(&self) -> f32 {
        self.overlap
    }

    /// The standard deviation below which a tile is empty.
    pub fn empty(&self) -> f32 {
        self.empty
    }

    /// Most tiles per image.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Pixels between neighbouring tiles of `side` pixels, at least 1.
    pub fn stride(&self, side: usize) -> usize {
        ((side as f32 * (1.0 - self.overlap)).round() as usize).max(1)
    }

    fn checked(mut self) -> Result<Self, TileSpecError> {
        fn hold(
            what: &'static str,
            found: impl ToString,
            allowed: &'static str,
            ok: bool,
        ) -> Result<(), TileSpecError> {
            if ok { Ok(()) } else { Err(TileSpecError::OutOfRange { what, found: found.to_string(), allowed }) }
        }
        for &scale in &self.scales {
            hold("scale", scale, "0.125 to 256 pixels of the image per pixel of a tile", SCALES.contains(&scale))?;
        }
        self.scales.sort_by(f32::total_cmp);
        self.scales.dedup();
        let count = self.scales.len();
        hold("number of scales", count, "1 to 8", (1..=SCALES_MAX).contains(&count))?;
        hold("overlap", self.overlap, "0 to 0.97", (0.0..=OVERLAP_MAX).contains(&self.overlap))?;
        hold("empty", self.empty, "0 to 127 levels", (0.0..=127.0).contains(&self.empty))?;
        hold("max", self.max, "1 to 1048576 tiles", (1..=TILES_ALLOWED_MAX).contains(&self.max))?;
        Ok(self)
    }
}

impl fmt::Display for TileSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scales: Vec<String> = self.scales.iter().map(ToString::to_string).collect();
        f.write_str(&scales.join("+"))?;
        if self.overlap != 0.0 {
            write!(f, ",overlap={}", self.overlap)?;
        }
        if self.empty != Self::EMPTY {
            write!(f, ",empty={}", self.empty)?;
        }
        if self.max != Self::MAX {
            write!(f, ",max={}", self.max)?;
        }
        Ok(())
    }
}

impl FromStr for TileSpec {
    type Err = TileSpecError;

    fn from_str(text: &str) -> Result<Self, TileSpecError> {
        fn number<T: FromStr>(what: &'static str, text: &str) -> Result<T, TileSpecError> {
            text.parse().map_err(|_| TileSpecError::NotANumber { what, found: text.to_owned() })
        }
        let mut parts = text.split(',');
        let scales = parts.next().unwrap_or_default().split('+').map(|scale| number("scale", scale));
        let scales = scales.collect::<Result<_, _>>()?;
        let mut spec = Self { scales, overlap: 0.0, empty: Self::EMPTY, max: Self::MAX };
        for part in parts {
            match part.split_once('=') {
                Some(("overlap", value)) => spec.overlap = number("overlap", value)?,
                Some(("empty", value)) => spec.empty = number("empty", value)?,
                Some(("max", value)) => spec.max = number("max", value)?,
                _ => return Err(TileSpecError::Unknown { found: part.to_owned() }),
            }
        }
        spec.checked()
    }
}

impl Serialize for TileSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TileSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A text states no tiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileSpecError {
    /// A value is not a number.
    #[error("tiles: {what} '{found}' is not a number; use SCALE[+SCALE…][,overlap=SHARE][,empty=LEVELS][,max=N]")]
    NotANumber {
        /// Its name.
        what: &'static str,
        /// The text.
        found: String,
    },
    /// A setting is unknown.
    #[error("tiles: '{found}' is not a setting; use overlap=SHARE, empty=LEVELS or max=N after the scales")]
    Unknown {
        /// The text.
        found: String,
    },
    /// A value is out of range.
    #[error("tiles: {what} is {found}, must be {allowed}")]
    OutOfRange {
        /// Its name.
        what: &'static str,
        /// The value.
        found: String,
        /// The allowed range.
        allowed: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_specifications_have_equal_texts() {
        let text = |text: &str| text.parse::<TileSpec>().unwrap().to_string();
        assert_eq!(text("2"), "2");
        assert_eq!(text("4+1.50+4,overlap=0.5"), "1.5+4,overlap=0.5");
        assert_eq!(text("1,max=4096,empty=3,overlap=0"), "1");
        assert_eq!(text("1,empty=0,max=9,overlap=0.25"), "1,overlap=0.25,empty=0,max=9");
        assert_eq!(text("1,empty=0,max=9,overlap=0.25"), text(&text("1,empty=0,max=9,overlap=0.25")));
        let spec = TileSpec::at_scale(1.0).and_then(|spec| spec.with_overlap(0.5));
        assert_eq!(spec.map(|spec| [spec.stride(64), spec.stride(1)]), Ok([32, 1]));
    }

    #[test]
    fn what_is_not_a_specification_is_refused_by_name() {
        let error = |text: &str| text.parse::<TileSpec>().unwrap_err();
        for text in ["", "a", "1+", "1,overlap=", "1,max=-1", "1,max=1.5"] {
            assert!(matches!(error(text), TileSpecError::NotANumber { .. }), "{text}");
        }
        for text in ["1,stride=3", "1,2", "1,"] {
            assert!(matches!(error(text), TileSpecError::Unknown { .. }), "{text}");
        }
        for (text, name) in [
            ("0", "scale"),
            ("NaN", "scale"),
            ("300", "scale"),
            ("1+2+3+4+5+6+7+8+9", "number of scales"),
            ("1,overlap=1", "overlap"),
            ("1,empty=-1", "empty"),
            ("1,max=0", "max"),
        ] {
            assert!(matches!(error(text), TileSpecError::OutOfRange { what, .. } if what == name), "{text}");
        }
    }
}
