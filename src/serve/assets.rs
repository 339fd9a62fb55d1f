//! The files of the page, built from `web/` and embedded in the program.

use std::io::Write;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::report::text::hexadecimal;

/// A file of the page.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal $media_type:literal $file:literal)*) => {
        &[$(Asset { path: $path, media_type: $media_type, bytes: include_bytes!(concat!("../../", $file)) }),*]
    };
}

/// All files, by path.
const ASSETS: &[Asset] = assets! {
    "/" "text/html; charset=utf-8" "web/dist/index.html"
    "/app.js" "text/javascript; charset=utf-8" "web/dist/app.js"
    "/app.css" "text/css; charset=utf-8" "web/dist/app.css"
    "/de.json" "application/json" "web/dist/de.json"
    "/sw.js" "text/javascript; charset=utf-8" "web/dist/sw.js"
    "/manifest.webmanifest" "application/manifest+json" "web/dist/manifest.webmanifest"
    "/icon.svg" "image/svg+xml" "web/dist/icon.svg"
    "/icon-192.png" "image/png" "web/dist/icon-192.png"
    "/icon-512.png" "image/png" "web/dist/icon-512.png"
    "/api/v1/openapi.json" "application/json" "docs/openapi.json"
};

/// A file with what is computed once: its tag, and its compressed form where that is shorter.
struct Served {
    asset: &'static Asset,
    tag: HeaderValue,
    gzip: Option<Vec<u8>>,
}

static SERVED: LazyLock<Vec<Served>> = LazyLock::new(|| ASSETS.iter().map(served).collect());

fn served(asset: &'static Asset) -> Served {
    let digest = hexadecimal(&Sha256::digest(asset.bytes)[..16]);
    let tag = HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let gzip = encoder.write_all(asset.bytes).and_then(|()| encoder.finish()).ok();
    Served { asset, tag, gzip: gzip.filter(|gzip| gzip.len() < asset.bytes.len()) }
}

/// The page may load nothing but its own files, and no other page may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; \
                                       form-action 'none'; frame-ancestors 'none'";

/// The file at `path`; `None` if there is none.
pub fn asset(path: &str, headers: &HeaderMap) -> Option<Response> {
    let served = SERVED.iter().find(|served| served.asset.path == path)?;
    let given = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let is_known = given(header::IF_NONE_MATCH).split(',').any(|tag| tag.trim().as_bytes() == served.tag.as_bytes());
    let takes_gzip = given(header::ACCEPT_ENCODING).split(',').any(|coding| coding.trim().starts_with("gzip"));
    let mut response = match (&served.gzip, is_known) {
        (_, true) => StatusCode::NOT_MODIFIED.into_response(),
        (Some(gzip), _) if takes_gzip => {
            let mut response = Response::new(Body::from(gzip.as_slice()));
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        _ => Response::new(Body::from(served.asset.bytes)),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(served.asset.media_type));
    headers.insert(header::ETAG, served.tag.clone());
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Ask each time: an update of the program brings another page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Some(response)
}

/// Adds the headers that every response has.
pub fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("permissions-policy"), "camera=(self), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Answers of the API are about patients: no cache keeps them.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
