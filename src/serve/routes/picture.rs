//! Pictures as PNG.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use macula_edge::support_set::SourceId;
use serde::Deserialize;

use super::super::error::{ApiError, ErrorKind};
use super::upload::blocking;
use crate::data::{Image, Preprocessing};
use crate::device::{KeptImages, encode_image};
use crate::report::text::hexadecimal;

/// The wanted size of a picture.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SizeQuery {
    /// Pixels of the longer side at most; none for the picture as it is.
    pub size: Option<usize>,
}

/// The kept picture of a source. A source names its pixels, so that a client that has it needs no second copy; but it asks each
/// time, because a forgotten sample must be gone.
///
/// # Errors
/// [`ErrorKind::NotFound`] if none is kept.
pub async fn kept(
    images: Option<KeptImages>,
    source: SourceId,
    size: Option<usize>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let none = || ApiError::new(ErrorKind::NotFound, "no picture of it is kept");
    let images = images.filter(|images| images.has(&source)).ok_or_else(none)?;
    let tag = format!("\"{}-{}\"", hexadecimal(&source), size.unwrap_or(0));
    let mut response = match headers.get(header::IF_NONE_MATCH) {
        Some(known) if known.as_bytes() == tag.as_bytes() => StatusCode::NOT_MODIFIED.into_response(),
        _ => png_response(
            blocking(move || match size {
                None => images.png(&source)?.ok_or_else(none),
                Some(size) => encoded(&shrunk(&images.get(&source)?.ok_or_else(none)?, size)),
            })
            .await?,
        ),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.extend(HeaderValue::from_str(&tag).ok().map(|tag| (header::ETAG, tag)));
    Ok(response)
}

/// The PNG file of an image.
///
/// # Errors
/// If it cannot be encoded.
pub fn encoded(image: &Image) -> Result<Vec<u8>, ApiError> {
    encode_image(image).map_err(|error| ApiError::new(ErrorKind::DeviceFault, error.to_string()))
}

/// A response with a PNG file.
pub fn png_response(png: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(png));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    response
}

/// `image` with a longer side of at most `size` pixels.
fn shrunk(image: &Image, size: usize) -> Image {
    let longer = image.width.max(image.height);
    let size = size.clamp(16, 4096);
    if longer <= size {
        return image.clone();
    }
    let side = |pixels: usize| (pixels * size).div_ceil(longer).max(1);
    Preprocessing::unit(image.channels, side(image.height), side(image.width)).to_pixels(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_shape() {
        let image = |width, height| Image { width, height, channels: 1, pixels: vec![7; width * height] };
        let size = |image: &Image| (image.width, image.height);
        assert_eq!(size(&shrunk(&image(400, 100), 64)), (64, 16));
        assert_eq!(size(&shrunk(&image(3, 900), 64)), (1, 64));
        assert_eq!(shrunk(&image(40, 30), 64), image(40, 30));
        assert_eq!(size(&shrunk(&image(40, 30), 0)), (16, 12));
    }
}
