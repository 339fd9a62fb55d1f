//! Export and import of the state.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Json as Reply, Router};
use tokio_util::io::ReaderStream;

use super::super::archive::{self, Archive};
use super::super::error::{ApiError, ErrorBody};
use super::super::types::{Imported, Progress};
use super::extract::From;
use super::shared::{App, Shared};
use super::upload::{self, blocking};

pub fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/state", get(export).post(import))
}

/// Classes, samples and kept pictures as a ZIP archive.
#[utoipa::path(get, path = "/state", responses((status = 200, content_type = "application/zip", body = Vec<u8>)), security(("token" = [])))]
pub async fn export(State(shared): App) -> Result<Response, ApiError> {
    let _permit = upload::permit(&shared).await?;
    let (state, encoder) =
        shared.device.run(|controller| Ok((controller.snapshot()?.0, controller.encoder_identity()))).await?;
    let pictures = shared.facts().pictures;
    let file = blocking(move || archive::write(&state, encoder, pictures.folder())).await?;
    let mut response = Response::new(Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    let name = HeaderValue::from_static("attachment; filename=\"macula-state.zip\"");
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// Adds an exported state: all of it, or nothing.
#[utoipa::path(post, path = "/state", request_body(content = Vec<u8>, content_type = "application/zip"),
    responses((status = 200, body = Imported), (status = 400, body = ErrorBody), (status = 409, body = ErrorBody)), security(("token" = [])))]
pub async fn import(State(shared): App, From(author): From, body: Body) -> Result<Reply<Imported>, ApiError> {
    let _permit = upload::permit(&shared).await?;
    let file = upload::collect_to_file(body, shared.state_bytes_max).await?;
    let (encoder, dim) =
        shared.device.run(|controller| Ok((controller.encoder_identity(), controller.feature_dim()))).await?;
    let mut archive = blocking(move || Archive::open(file, encoder, dim)).await?;
    let device = shared.device.clone();
    let imported = shared.device.run(move |controller| {
        let state = std::mem::take(&mut archive.state);
        let total = state.supports.len();
        let progress = |done| device.progress(Progress { task: "import", done, total });
        controller.import(&author, &state, &mut |source| archive.image(source), &progress)
    });
    imported.await.map(Reply)
}
