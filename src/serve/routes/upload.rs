//! Images in the body of a request.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;

use super::super::error::{ApiError, ErrorKind};
use super::shared::Shared;
use crate::data::decode::{self, DecodeOptions, PIXELS_MAX};
use crate::data::{DataError, Image};

/// Longest silence within a body.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Longest time for a body: 32 MiB at 2.2 Mbit/s.
const BODY_MAX: Duration = Duration::from_secs(120);

/// Longest wait for other uploads.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Bytes of a refused body that are read before the reply, and the longest time for them. A connection that is closed with unread
/// bytes is reset, and the client may never see the reply.
const DRAINED_MAX: u64 = 4 << 20;
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Reads and drops the rest of a body that is refused.
pub async fn drain(mut body: Body) {
    let drained = async {
        let mut dropped = 0;
        while let Some(Ok(frame)) = body.frame().await {
            dropped += frame.data_ref().map_or(0, |part| part.len() as u64);
            if dropped > DRAINED_MAX {
                break;
            }
        }
    };
    // A slow client does not get the reply.
    let _ = tokio::time::timeout(DRAIN_MAX, drained).await;
}

/// The bytes of a body.
///
/// # Errors
/// [`ErrorKind::TooLarge`] above `limit`; if the client is silent or gone.
pub async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    each_part(body, limit as u64, |part| {
        bytes.extend_from_slice(&part);
        Ok(())
    })
    .await?;
    Ok(bytes)
}

/// The body in a temporary file, at its beginning.
///
/// # Errors
/// As [`collect`], and if the file cannot be written.
pub async fn collect_to_file(body: Body, limit: u64) -> Result<File, ApiError> {
    let fault =
        |error: std::io::Error| ApiError::new(ErrorKind::DeviceFault, format!("cannot keep the upload: {error}"));
    let mut file = tempfile::tempfile().map_err(fault)?;
    each_part(body, limit, |part| file.write_all(&part).map_err(fault)).await?;
    file.seek(SeekFrom::Start(0)).map_err(fault)?;
    Ok(file)
}

async fn each_part(
    mut body: Body,
    limit: u64,
    mut take: impl FnMut(Bytes) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let too_large =
        |found: u64| ApiError::new(ErrorKind::TooLarge, format!("more than {limit} bytes")).with(found, limit);
    // A client that states its length is refused before it sends anything.
    if let Some(stated) = hyper::body::Body::size_hint(&body).exact().filter(|&stated| stated > limit) {
        drain(body).await;
        return Err(too_large(stated));
    }
    let (mut received, end) = (0, Instant::now() + BODY_MAX);
    loop {
        let left = SILENCE_MAX.min(end.saturating_duration_since(Instant::now()));
        let frame = tokio::time::timeout(left, body.frame()).await;
        let frame = frame.map_err(|_| ApiError::new(ErrorKind::Input, "the upload is too slow"))?;
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|error| ApiError::new(ErrorKind::Input, format!("the upload broke off: {error}")))?;
        let Ok(part) = frame.into_data() else { continue };
        received += part.len() as u64;
        if received > limit {
            drain(body).await;
            return Err(too_large(received));
        }
        take(part)?;
    }
}

/// A permit for a request with a large body. It holds the memory of the body and of the decoded image.
///
/// # Errors
/// [`ErrorKind::Busy`] if others hold all permits for too long.
pub async fn permit(shared: &Shared) -> Result<tokio::sync::SemaphorePermit<'_>, ApiError> {
    let busy = || ApiError::new(ErrorKind::Busy, "too many uploads at once");
    let permit = tokio::time::timeout(WAIT_MAX, shared.uploads.acquire()).await.map_err(|_| busy())?;
    permit.map_err(|_| busy())
}

/// The image in a body.
///
/// * `name`: for errors
///
/// # Errors
/// If it is too large, or no image that can be read.
pub async fn image(shared: &Shared, name: &str, body: Body) -> Result<Image, ApiError> {
    let bytes = collect(body, shared.upload_bytes_max).await?;
    let (options, name) = (DecodeOptions::for_encoder(shared.facts().range), name.to_owned());
    blocking(move || match decode::decode(&bytes, &name, &options) {
        Ok(decoded) => Ok(decoded.image),
        Err(error @ DataError::TooLarge { width, height, .. }) => {
            Err(ApiError::new(ErrorKind::TooLarge, error.to_string()).with(width.saturating_mul(height), PIXELS_MAX))
        }
        Err(error) => Err(error.into()),
    })
    .await
}

/// Runs `work` where it may block.
///
/// # Errors
/// As `work`.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ApiError::new(ErrorKind::DeviceFault, error.to_string()))?
}
