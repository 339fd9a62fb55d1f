//! QR codes: as text for a terminal, and as SVG for the page.

use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};

/// `text` as an SVG image; `None` if it is too long.
pub fn svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    Some(code.render::<svg::Color<'_>>().min_dimensions(240, 240).build())
}

/// `text` in characters of a terminal, two modules per character; `None` if it is too long.
pub fn terminal(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    // Terminals are dark more often than not, and cameras want dark on light.
    let mut image = code.render::<unicode::Dense1x2>();
    Some(image.dark_color(unicode::Dense1x2::Light).light_color(unicode::Dense1x2::Dark).build())
}
