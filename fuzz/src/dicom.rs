//! DICOM files. The target writes the preamble and the transfer syntax, so that the data set is read.
//!
//! | bytes | field                                        |
//! |------:|----------------------------------------------|
//! |     1 | transfer syntax, a number into [`SYNTAXES`]  |
//! |     1 | number of a frame                            |
//! |     … | data set                                     |

use macula::data::decode::{DecodeOptions, FrameChoice, ValueRange, WindowChoice, decode};

use crate::dataset::check_image;
use crate::{Input, Outcome};

/// Endings of the supported transfer syntaxes.
pub const SYNTAXES: [&str; 14] =
    ["", ".1", ".1.98", ".1.99", ".2", ".5", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91"];

/// The first syntax whose frames a library of the host decodes.
const FOREIGN: usize = 10;

/// Reads the data set that `data` describes, for every window and several frames. The result is an image within the limits
/// or an error that names the file.
pub fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let (syntax, frame) = (usize::from(input.byte()) % SYNTAXES.len(), u32::from(input.byte()));
    let bytes = file(SYNTAXES[syntax], input.rest());
    let options = DecodeOptions::default();
    let all = [
        options,
        DecodeOptions { window: WindowChoice::Percentile, ..options },
        DecodeOptions { range: Some(ValueRange { low: -100.0, high: 1000.0 }), ..options },
        DecodeOptions { frame: FrameChoice::Middle, ..options },
        DecodeOptions { frame: FrameChoice::Number(frame), ..options },
        DecodeOptions { measure: true, needs_range: true, ..options },
    ];
    let mut outcome = Outcome::Refused;
    for options in all {
        match decode(&bytes, "input.dcm", &options) {
            Ok(decoded) => {
                check_image(&decoded.image);
                assert!(decoded.raw.low <= decoded.raw.high, "raw values from {decoded:?}");
                assert!(decoded.frames > 0 && decoded.orientation == 1);
                outcome = Outcome::Accepted;
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("input.dcm"), "{text}");
                assert!(syntax >= FOREIGN || !text.contains("the decoder failed"), "{text}");
            }
        }
    }
    outcome
}

fn file(ending: &str, data_set: &[u8]) -> Vec<u8> {
    let mut uid = format!("1.2.840.10008.1.2{ending}").into_bytes();
    uid.resize(uid.len().next_multiple_of(2), 0);
    let mut bytes = [&[0; 128][..], b"DICM\x02\0\x10\0UI"].concat();
    bytes.extend((uid.len() as u16).to_le_bytes());
    bytes.extend(uid);
    bytes.extend(data_set);
    bytes
}
