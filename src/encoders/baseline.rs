//! The baselines that an encoder is compared with, by the names of `--baselines`.

use std::fmt;
use std::str::FromStr;

use super::fitted::EncoderInput;
use crate::data::Preprocessing;
use crate::encoder::Preset;

/// A baseline: `NAME`, or `NAME@SIDE` with the side of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    kind: Kind,
    side: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    RawPixels,
    ColourStatistics,
    /// `None` for the preset of the encoder.
    Random(Option<Preset>),
}

/// A text is no baseline.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// No baseline has this name.
    #[error(
        "no baseline '{name}'; use raw-pixels, colour-statistics, random or random:PRESET (pico, nano, micro, mobile)"
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// The side of the input is no number of pixels.
    #[error("'{side}' is not a side of 1 to {} pixels", u16::MAX)]
    Side {
        /// What stands behind `@`.
        side: String,
    },
}

impl Baseline {
    /// Raw pixels.
    pub const RAW_PIXELS: Self = Self { kind: Kind::RawPixels, side: None };
    /// Colour statistics.
    pub const COLOUR_STATISTICS: Self = Self { kind: Kind::ColourStatistics, side: None };
    /// A random encoder like the evaluated one.
    pub const RANDOM: Self = Self { kind: Kind::Random(None), side: None };
    /// All baselines, in the order of tables.
    pub const ALL: [Self; 3] = [Self::RAW_PIXELS, Self::COLOUR_STATISTICS, Self::RANDOM];
    /// The baselines without a network. An encoder that does not beat both has learnt nothing of use.
    pub const FLOORS: [&'static str; 2] = ["raw-pixels", "colour-statistics"];
    /// Side of their input unless it is stated.
    pub const FLOOR_SIDE: usize = 32;

    /// The name of its encoder beside an encoder of `preset`; nano if that has none.
    pub fn encoder(self, preset: Option<Preset>) -> String {
        match self.kind {
            Kind::RawPixels => Self::FLOORS[0].to_owned(),
            Kind::ColourStatistics => Self::FLOORS[1].to_owned(),
            Kind::Random(own) => format!("random:{}", own.or(preset).unwrap_or(Preset::Nano).name()),
        }
    }

    /// Its input on the images of `images`, with the channels of `like`: the stated side, else 32 pixels for raw pixels and
    /// colour statistics, and the size of `like` for a random encoder.
    pub fn input<'a>(self, images: EncoderInput<'a>, like: &Preprocessing) -> EncoderInput<'a> {
        let [height, width] = match (self.side, self.kind) {
            (Some(side), _) => [side; 2],
            (None, Kind::Random(_)) => [like.height, like.width],
            (None, Kind::RawPixels | Kind::ColourStatistics) => [Self::FLOOR_SIDE; 2],
        };
        EncoderInput { channels: like.channels, height, width, ..images }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Random(None) => f.write_str("random")?,
            _ => f.write_str(&self.encoder(None))?,
        }
        self.side.map_or(Ok(()), |side| write!(f, "@{side}"))
    }
}

impl FromStr for Baseline {
    type Err = BaselineError;

    fn from_str(text: &str) -> Result<Self, BaselineError> {
        let (name, side) = text.split_once('@').map_or((text, None), |(name, side)| (name, Some(side)));
        let unknown = || BaselineError::Unknown { name: name.to_owned() };
        let kind = match name {
            "raw-pixels" => Kind::RawPixels,
            "colour-statistics" => Kind::ColourStatistics,
            "random" => Kind::Random(None),
            _ => {
                let preset = name.strip_prefix("random:").and_then(|preset| preset.parse().ok());
                Kind::Random(Some(preset.ok_or_else(unknown)?))
            }
        };
        let pixels = |side: &str| match side.parse() {
            Ok(pixels) if (1..=usize::from(u16::MAX)).contains(&pixels) => Ok(pixels),
            _ => Err(BaselineError::Side { side: side.to_owned() }),
        };
        Ok(Self { kind, side: side.map(pixels).transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for text in ["raw-pixels", "colour-statistics@16", "random", "random@64", "random:micro@96"] {
            assert_eq!(text.parse::<Baseline>().unwrap().to_string(), text);
        }
        assert_eq!(Baseline::RANDOM.encoder(Some(Preset::Micro)), "random:micro");
        assert_eq!("random:pico".parse::<Baseline>().unwrap().encoder(Some(Preset::Micro)), "random:pico");
        for name in ["", "pixels", "random:huge"] {
            assert_eq!(name.parse::<Baseline>(), Err(BaselineError::Unknown { name: name.to_owned() }));
        }
        for side in ["", "0", "70000", "x"] {
            let refused = format!("raw-pixels@{side}").parse::<Baseline>();
            assert_eq!(refused, Err(BaselineError::Side { side: side.to_owned() }));
        }
    }

    #[test]
    fn floors_have_their_own_size_and_a_random_encoder_that_of_the_encoder() {
        let dataset = crate::data::open_named("phantoms:16:12", 1).unwrap();
        let images = EncoderInput { dataset: &dataset, unlabelled: &[0], channels: 3, height: 224, width: 224 };
        let like = Preprocessing::unit(1, 64, 48);
        let input = |text: &str| {
            let input = text.parse::<Baseline>().unwrap().input(images, &like);
            (input.channels, input.height, input.width)
        };
        assert_eq!(input("raw-pixels"), (1, 32, 32));
        assert_eq!(input("colour-statistics@16"), (1, 16, 16));
        assert_eq!(input("random"), (1, 64, 48));
        assert_eq!(input("random:nano@28"), (1, 28, 28));
    }
}
