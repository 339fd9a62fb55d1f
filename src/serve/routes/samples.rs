//! Samples and their figures.

use std::sync::{Arc, PoisonError};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, patch};
use axum::{Json as Reply, Router};
use serde::Deserialize;

use super::super::error::{ApiError, ErrorBody};
use super::super::quality as figures;
use super::super::source::parse_source;
use super::super::types::{Forgotten, Label, Learned, Quality, Samples};
use super::extract::{From, Json, Query};
use super::picture::{SizeQuery, kept};
use super::shared::{App, Shared};
use super::upload::{self, blocking};

pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/samples", get(samples).post(learn))
        .route("/samples/{source}", patch(move_sample).delete(forget))
        .route("/samples/{source}/image", get(image))
        .route("/quality", get(quality))
}

#[derive(Deserialize)]
pub struct ClassQuery {
    class: Option<u8>,
}

/// The samples, newest first.
#[utoipa::path(get, path = "/samples", params(("class" = Option<u8>, Query, description = "Slot of a class")),
    responses((status = 200, body = Samples)), security(("token" = [])))]
pub async fn samples(State(shared): App, Query(query): Query<ClassQuery>) -> Result<Reply<Samples>, ApiError> {
    shared.device.run(move |controller| controller.samples(query.class)).await.map(Reply)
}

#[derive(Deserialize)]
pub struct LearnQuery {
    class: u8,
}

/// Learns an image.
#[utoipa::path(post, path = "/samples", request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(("class" = u8, Query, description = "Slot of its class"), ("operator" = Option<u32>, Query, description = "Number of the operator")),
    responses((status = 200, body = Learned), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 413, body = ErrorBody), (status = 415, body = ErrorBody)), security(("token" = [])))]
pub async fn learn(
    State(shared): App,
    Query(query): Query<LearnQuery>,
    From(author): From,
    body: Body,
) -> Result<Reply<Learned>, ApiError> {
    let _permit = upload::permit(&shared).await?;
    let image = upload::image(&shared, "the image", body).await?;
    shared.device.run(move |controller| controller.learn(&author, query.class, &image)).await.map(Reply)
}

/// Moves a sample to another class.
#[utoipa::path(patch, path = "/samples/{source}", request_body = Label, params(("source" = String, Path)),
    responses((status = 200, body = Learned), (status = 404, body = ErrorBody)), security(("token" = [])))]
pub async fn move_sample(
    State(shared): App,
    Path(source): Path<String>,
    From(author): From,
    Json(label): Json<Label>,
) -> Result<Reply<Learned>, ApiError> {
    let source = parse_source(&source)?;
    shared.device.run(move |controller| controller.move_sample(&author, source, label)).await.map(Reply)
}

/// Forgets a sample.
#[utoipa::path(delete, path = "/samples/{source}", params(("source" = String, Path)),
    responses((status = 200, body = Forgotten), (status = 404, body = ErrorBody)), security(("token" = [])))]
pub async fn forget(
    State(shared): App,
    Path(source): Path<String>,
    From(author): From,
) -> Result<Reply<Forgotten>, ApiError> {
    let source = parse_source(&source)?;
    shared.device.run(move |controller| controller.forget(&author, source)).await.map(Reply)
}

/// The picture of a sample.
#[utoipa::path(get, path = "/samples/{source}/image",
    params(("source" = String, Path), ("size" = Option<usize>, Query, description = "Pixels of the longer side at most")),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = 404, body = ErrorBody)), security(("token" = [])))]
pub async fn image(
    State(shared): App,
    Path(source): Path<String>,
    Query(SizeQuery { size }): Query<SizeQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    kept(shared.facts().pictures.folder().cloned(), parse_source(&source)?, size, &headers).await
}

/// Figures of the samples by leave-one-out.
#[utoipa::path(get, path = "/quality", responses((status = 200, body = Quality)), security(("token" = [])))]
pub async fn quality(State(shared): App) -> Result<Reply<Quality>, ApiError> {
    let (state, revision) = shared.device.run(|controller| controller.snapshot()).await?;
    let cached = || shared.quality.lock().unwrap_or_else(PoisonError::into_inner);
    let sha256 = state.sha256;
    if let Some((known_sha256, known)) = &*cached()
        && *known_sha256 == sha256
        && known.revision == revision
    {
        return Ok(Reply(known.clone()));
    }
    let pictures = shared.facts().pictures;
    let found = blocking(move || figures::quality(&state, revision, |source| pictures.has(source))).await?;
    *cached() = Some((sha256, found.clone()));
    Ok(Reply(found))
}
