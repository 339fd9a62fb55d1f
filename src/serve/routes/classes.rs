//! Classes.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, patch};
use axum::{Json as Reply, Router};

use super::super::error::{ApiError, ErrorBody};
use super::super::types::{ClassAdded, ClassName, ClassRemoved, Classes};
use super::extract::{From, Json};
use super::shared::{App, Shared};

pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/classes", get(classes).post(add_class))
        .route("/classes/{slot}", patch(rename_class).delete(remove_class))
}

/// The classes.
#[utoipa::path(get, path = "/classes", responses((status = 200, body = Classes)), security(("token" = [])))]
pub async fn classes(State(shared): App) -> Result<Reply<Classes>, ApiError> {
    shared.device.run(|controller| controller.classes()).await.map(Reply)
}

/// Adds a class; one that exists is no error.
#[utoipa::path(post, path = "/classes", request_body = ClassName,
    responses((status = 200, body = ClassAdded), (status = 422, body = ErrorBody)), security(("token" = [])))]
pub async fn add_class(
    State(shared): App,
    From(author): From,
    Json(class): Json<ClassName>,
) -> Result<Reply<ClassAdded>, ApiError> {
    shared.device.run(move |controller| controller.add_class(&author, &class.name)).await.map(Reply)
}

/// Renames a class.
#[utoipa::path(patch, path = "/classes/{slot}", request_body = ClassName, params(("slot" = u8, Path)),
    responses((status = 200, description = "done"), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
    security(("token" = [])))]
pub async fn rename_class(
    State(shared): App,
    Path(slot): Path<u8>,
    From(author): From,
    Json(class): Json<ClassName>,
) -> Result<Reply<serde_json::Value>, ApiError> {
    shared.device.run(move |controller| controller.rename_class(&author, slot, &class.name)).await?;
    Ok(Reply(serde_json::json!({})))
}

/// Removes a class with its samples.
#[utoipa::path(delete, path = "/classes/{slot}", params(("slot" = u8, Path)),
    responses((status = 200, body = ClassRemoved), (status = 404, body = ErrorBody)), security(("token" = [])))]
pub async fn remove_class(
    State(shared): App,
    Path(slot): Path<u8>,
    From(author): From,
) -> Result<Reply<ClassRemoved>, ApiError> {
    shared.device.run(move |controller| controller.remove_class(&author, slot)).await.map(Reply)
}
