//! Predictions.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use axum::{Json as Reply, Router};
use serde::Deserialize;

use super::super::error::{ApiError, ErrorBody, ErrorKind};
use super::super::types::Prediction;
use super::extract::Query;
use super::picture::{encoded, png_response};
use super::shared::{App, Shared};
use super::upload::{self, blocking};

pub fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/predictions", post(predict)).route("/previews", post(preview))
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
