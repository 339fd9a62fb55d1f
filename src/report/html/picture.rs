//! Pictures inside a document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The start of the address of a PNG picture.
const PNG: &str = "data:image/png;base64,";

/// PNG bytes as an address that contains them.
pub fn png_uri(png: &[u8]) -> String {
    format!("{PNG}{}", STANDARD.encode(png))
}

/// The bytes of [`png_uri`]; `None` for another address.
pub fn png_of_uri(uri: &str) -> Option<Vec<u8>> {
    STANDARD.decode(uri.strip_prefix(PNG)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Image;
    use crate::report::sheet::png;

    #[test]
    fn a_picture_is_read_back_from_its_address() {
        let drawn = Image { width: 2, height: 1, channels: 1, pixels: vec![7, 200] };
        let bytes = png_of_uri(&png_uri(&png(&drawn).unwrap())).unwrap();
        let read = image::load_from_memory(&bytes).unwrap().to_luma8();
        assert_eq!((read.dimensions(), read.into_raw()), ((2, 1), vec![7, 200]));
        assert_eq!(png_of_uri("https://example.org/a.png"), None);
        assert_eq!(png_of_uri("data:image/png;base64,<>"), None);
    }
}
