//! Image files of every format, as bytes.

use macula::data::decode::decode;

use crate::Outcome;
use crate::dataset::check_image;

/// Decodes `data`: an image within the limits, or an error that names the file.
pub fn run(data: &[u8]) -> Outcome {
    match decode(data, "input.img") {
        Ok(image) => {
            check_image(&image);
            Outcome::Accepted
        }
        Err(error) => {
            assert!(error.to_string().contains("input.img"), "{error}");
            Outcome::Refused
        }
    }
}
