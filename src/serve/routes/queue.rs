//! The queue of images to label.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Json as Reply, Router};
use serde::Deserialize;

use super::super::controller::Author;
use super::super::error::{ApiError, ErrorBody};
use super::super::source::parse_source;
use super::super::types::{Label, Learned, QueueReport, Queued};
use super::extract::{From, Json, Query};
use super::picture::{SizeQuery, kept};
use super::shared::{App, Shared};
use super::upload;

pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/queue", get(queue).post(enqueue))
        .route("/queue/{id}", delete(dequeue))
        .route("/queue/{id}/label", post(label))
        .route("/queue/{id}/image", get(image))
}

#[derive(Deserialize)]
pub struct LimitQuery {
    limit: Option<usize>,
}

/// The images to label, those that the device is least sure of first.
#[utoipa::path(get, path = "/queue", params(("limit" = Option<usize>, Query, description = "Most images [default: 50]")),
    responses((status = 200, body = QueueReport)), security(("token" = [])))]
pub async fn queue(State(shared): App, Query(query): Query<LimitQuery>) -> Result<Reply<QueueReport>, ApiError> {
    let limit = query.limit.unwrap_or(50);
    shared.device.run(move |controller| controller.queue(limit)).await.map(Reply)
}

#[derive(Deserialize)]
pub struct NameQuery {
    #[serde(default)]
    name: String,
}

/// Adds an image.
#[utoipa::path(post, path = "/queue", request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(("name" = Option<String>, Query, description = "Name of its file")),
    responses((status = 200, body = Queued), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)), security(("token" = [])))]
pub async fn enqueue(
    State(shared): App,
    Query(query): Query<NameQuery>,
    From(author): From,
    body: Body,
) -> Result<Reply<Queued>, ApiError> {
    let _permit = upload::permit(&shared).await?;
    let image = upload::image(&shared, &query.name, body).await?;
    shared.device.run(move |controller| controller.enqueue(&author, &query.name, &image)).await.map(Reply)
}

/// Learns an image and takes it out of the queue.
#[utoipa::path(post, path = "/queue/{id}/label", request_body = Label, params(("id" = String, Path)),
    responses((status = 200, body = Learned), (status = 404, body = ErrorBody)), security(("token" = [])))]
pub async fn label(
    State(shared): App,
    Path(id): Path<String>,
    From(author): From,
    Json(label): Json<Label>,
) -> Result<Reply<Learned>, ApiError> {
    let source = parse_source(&id)?;
    let author = Author { operator: author.operator.or(Some(label.operator).filter(|&number| number != 0)), ..author };
    shared.device.run(move |controller| controller.label(&author, source, label.class)).await.map(Reply)
}

/// Takes an image out of the queue.
#[utoipa::path(delete, path = "/queue/{id}", params(("id" = String, Path)),
    responses((status = 200, description = "done"), (status = 404, body = ErrorBody)), security(("token" = [])))]
pub async fn dequeue(
    State(shared): App,
    Path(id): Path<String>,
    From(author): From,
) -> Result<Reply<serde_json::Value>, ApiError> {
    let source = parse_source(&id)?;
    shared.device.run(move |controller| controller.dequeue(&author, source)).await?;
    Ok(Reply(serde_json::json!({})))
}

/// The picture of an image.
#[utoipa::path(get, path = "/queue/{id}/image",
    params(("id" = String, Path), ("size" = Option<usize>, Query, description = "Pixels of the longer side at most")),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = 404, body = ErrorBody)), security(("token" = [])))]
pub async fn image(
    State(shared): App,
    Path(id): Path<String>,
    Query(SizeQuery { size }): Query<SizeQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    kept(Some(shared.queue_images.clone()), parse_source(&id)?, size, &headers).await
}
