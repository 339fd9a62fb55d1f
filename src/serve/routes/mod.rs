//! The routes of the API: from HTTP to the [`Controller`](super::controller::Controller) and back.

mod classes; //     classes
mod device; //      access, device, settings, audit log, undo
mod events; //      server-sent events
mod extract; //     parts of a request
mod guard; //       what every request passes
mod picture; //     pictures as PNG
mod predictions; // predictions
mod queue; //       images to label
mod samples; //     samples and their figures
mod shared; //      what all routes share
mod state; //       export and import
mod upload; //      images in the body of a request

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::assets;
use super::error::{ApiError, ErrorKind};

pub use shared::{EncoderFacts, Shared};

/// The page and its API.
pub fn router(shared: Arc<Shared>) -> Router {
    let open = Router::new().merge(device::open_routes());
    let guarded = Router::new()
        .merge(device::routes())
        .merge(classes::routes())
        .merge(samples::routes())
        .merge(predictions::routes())
        .merge(queue::routes())
        .merge(state::routes())
        .merge(events::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::authorise));
    Router::new()
        .nest("/api/v1", open.merge(guarded))
        .fallback(page)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::check))
        .with_state(shared)
}

/// A file of the page.
async fn page(request: Request) -> Response {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    assets::asset(request.uri().path(), request.headers())
        .unwrap_or_else(|| ApiError::new(ErrorKind::NotFound, "there is nothing at this address").into_response())
}

/// The description of the API, from which `docs/openapi.json` is made.
#[derive(OpenApi)]
#[openapi(
    info(title = "Macula", description = "Teach classes to a device, and ask it for predictions. Errors are JSON: `{\"error\": {\"kind\": …, \"message\": …}}`."),
    servers((url = "/api/v1")),
    modifiers(&Bearer),
    paths(
        device::session, device::pair, device::pairing, device::device, device::settings, device::set_settings, device::set_operating_point,
        device::clear_operating_point, device::audit, device::undo,
        classes::classes, classes::add_class, classes::rename_class, classes::remove_class,
        samples::samples, samples::learn, samples::move_sample, samples::forget, samples::image, samples::quality,
        predictions::predict, predictions::heat_map, predictions::preview,
        queue::queue, queue::enqueue, queue::label, queue::dequeue, queue::image,
        state::export, state::import, events::events,
    ),
    components(schemas(super::error::ErrorBody, super::types::Change, super::types::Progress)),
)]
struct Description;

/// Adds the bearer token to the description.
struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("Needed unless the server listens on loopback."));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    }
}

/// The description of the API as JSON.
pub fn openapi() -> String {
    let text = Description::openapi().to_pretty_json().unwrap_or_default();
    text + "\n"
}
