//! Predictions.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use axum::{Json as Reply, Router};
use serde::Deserialize;

use super::super::controller::Controller;
use super::super::error::{ApiError, ErrorBody, ErrorKind};
use super::super::types::Prediction;
use super::extract::Query;
use super::picture::{encoded, png_response};
use super::shared::{App, Shared};
use super::upload::{self, blocking};
use crate::explain::overlay;

pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/predictions", post(predict))
        .route("/predictions/heat-map", post(heat_map))
        .route("/previews", post(preview))
}

#[derive(Deserialize)]
pub struct ErrorRateQuery {
    error_rate: Option<f64>,
}

/// Classifies an image and finds the nearest samples.
#[utoipa::path(post, path = "/predictions", request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(("error_rate" = Option<f64>, Query, description = "Of the prediction set, 0.001 to 0.5 [default: that of the settings]")),
    responses((status = 200, body = Prediction), (status = 413, body = ErrorBody), (status = 415, body = ErrorBody)),
    security(("token" = [])))]
pub async fn predict(
    State(shared): App,
    Query(query): Query<ErrorRateQuery>,
    body: Body,
) -> Result<Reply<Prediction>, ApiError> {
    let _permit = upload::permit(&shared).await?;
    let image = upload::image(&shared, "the image", body).await?;
    shared.device.run(move |controller| controller.predict(&image, query.error_rate)).await.map(Reply)
}

#[derive(Deserialize)]
pub struct ClassQuery {
    class: Option<u8>,
}

/// The image in grey under a heat map of what decided: dark blue is least, yellow most.
#[utoipa::path(post, path = "/predictions/heat-map", request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(("class" = Option<u8>, Query, description = "Slot of the class [default: the decided one]")),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = 413, body = ErrorBody),
    (status = 415, body = ErrorBody), (status = 422, body = ErrorBody)), security(("token" = [])))]
pub async fn heat_map(State(shared): App, Query(query): Query<ClassQuery>, body: Body) -> Result<Response, ApiError> {
    let _permit = upload::permit(&shared).await?;
    let image = upload::image(&shared, "the image", body).await?;
    let explain = move |controller: &mut Controller<'_, '_>| {
        controller.heat_map(&image, query.class).map(|explained| (image, explained.map))
    };
    let (image, map) = shared.device.run(explain).await?;
    Ok(png_response(blocking(move || encoded(&overlay(&image, &map))).await?))
}

/// The image as the encoder sees it.
#[utoipa::path(post, path = "/previews", request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = 422, body = ErrorBody)), security(("token" = [])))]
pub async fn preview(State(shared): App, body: Body) -> Result<Response, ApiError> {
    let _permit = upload::permit(&shared).await?;
    let unknown = || ApiError::new(ErrorKind::Refused, "the device does not say how its encoder sees an image");
    let preprocessing = shared.facts().preprocessing.ok_or_else(unknown)?;
    let image = upload::image(&shared, "the image", body).await?;
    let png = blocking(move || encoded(&preprocessing.to_pixels(&image))).await?;
    Ok(png_response(png))
}
