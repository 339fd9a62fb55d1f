//! Image files of every format, as bytes.

use macula::data::decode::{DecodeOptions, ValueRange, decode};

use crate::Outcome;
use crate::dataset::check_image;

/// Decodes `data` with the natural range, with a stated one, and only for measurement. The result is an image within the
/// limits or an error that names the file.
///
/// A caught panic of a decoder is a finding too, because it would abort a device program.
pub fn run(data: &[u8]) -> Outcome {
    let stated = Some(ValueRange { low: 0.0, high: 1000.0 });
    let all = [
        DecodeOptions::default(),
        DecodeOptions { range: stated, ..Default::default() },
        DecodeOptions { measure: true, ..Default::default() },
    ];
    let [natural, stated, measured] = all.map(|options| decode(data, "input.img", &options));
    if let Ok(natural) = &natural {
        let measured = measured.as_ref().expect("a decoded image can be measured");
        assert_eq!((natural.raw, natural.frames, natural.format), (measured.raw, measured.frames, measured.format));
    }
    let mut outcome = Outcome::Refused;
    for decoded in [natural, stated, measured] {
        match decoded {
            Ok(decoded) => {
                check_image(&decoded.image);
                assert!((1..=8).contains(&decoded.orientation) && decoded.frames > 0);
                assert!(decoded.raw.low <= decoded.raw.high, "raw values from {decoded:?}");
                outcome = Outcome::Accepted;
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("input.img") && !text.contains("the decoder failed"), "{text}");
            }
        }
    }
    outcome
}
