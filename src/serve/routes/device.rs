//! Access, device, settings, audit log, undo.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::routing::{get, post, put};
use axum::{Json as Reply, Router};
use serde::Deserialize;

use super::super::error::{ApiError, ErrorBody, ErrorKind};
use super::super::operating_point::{OperatingPoint, OperatingPointReport};
use super::super::qr;
use super::super::types::{
    AuditReport, DeviceReport, PairReply, PairRequest, Pairing, SessionReport, Settings, Undone,
};
use super::extract::{From, Json, Query};
use super::shared::{App, Shared};

/// Routes that need no token.
pub fn open_routes() -> Router<std::sync::Arc<Shared>> {
    Router::new().route("/session", get(session)).route("/pair", post(pair))
}

/// Routes that need a token.
pub fn routes() -> Router<std::sync::Arc<Shared>> {
    Router::new()
        .route("/pairing", get(pairing))
        .route("/device", get(device))
        .route("/settings", get(settings).put(set_settings))
        .route("/operating-point", put(set_operating_point).delete(clear_operating_point))
        .route("/audit", get(audit))
        .route("/undo", post(undo))
}

/// Whether this client may use the API.
#[utoipa::path(get, path = "/session", responses((status = 200, body = SessionReport)))]
pub async fn session(State(shared): App, headers: HeaderMap) -> Reply<SessionReport> {
    Reply(SessionReport {
        token_required: shared.access.needs_token(),
        authorised: shared.access.is_authorised(&headers),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The token, for the code that the server or a paired client shows.
#[utoipa::path(post, path = "/pair", request_body = PairRequest,
    responses((status = 200, body = PairReply), (status = 401, body = ErrorBody), (status = 429, body = ErrorBody)))]
pub async fn pair(
    State(shared): App,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Json(request): Json<PairRequest>,
) -> Result<Reply<PairReply>, ApiError> {
    let token = shared.access.pair(client.ip().to_canonical(), request.code.trim())?;
    Ok(Reply(PairReply { token }))
}

/// How another machine pairs.
#[utoipa::path(get, path = "/pairing", responses((status = 200, body = Pairing)), security(("token" = [])))]
pub async fn pairing(State(shared): App) -> Result<Reply<Pairing>, ApiError> {
    let none = Pairing { url: None, code: None, qr_svg: None, expires_s: None };
    let (Some(url), Some((code, expires_s))) = (&shared.url, shared.access.code()?) else { return Ok(Reply(none)) };
    let url = format!("{url}/#code={code}");
    let qr_svg = qr::svg(&url);
    Ok(Reply(Pairing { url: Some(url), code: Some(code), qr_svg, expires_s: Some(expires_s) }))
}

/// The device.
#[utoipa::path(get, path = "/device", responses((status = 200, body = DeviceReport)), security(("token" = [])))]
pub async fn device(State(shared): App) -> Result<Reply<DeviceReport>, ApiError> {
    shared.device.run(|controller| controller.device()).await.map(Reply)
}

/// The settings of all clients.
#[utoipa::path(get, path = "/settings", responses((status = 200, body = Settings)), security(("token" = [])))]
pub async fn settings(State(shared): App) -> Result<Reply<Settings>, ApiError> {
    shared.device.run(|controller| Ok(controller.settings().clone())).await.map(Reply)
}

/// Replaces the settings of all clients.
#[utoipa::path(put, path = "/settings", request_body = Settings,
    responses((status = 200, body = Settings), (status = 400, body = ErrorBody)), security(("token" = [])))]
pub async fn set_settings(
    State(shared): App,
    From(author): From,
    Json(settings): Json<Settings>,
) -> Result<Reply<Settings>, ApiError> {
    shared.device.run(move |controller| controller.set_settings(&author, settings)).await.map(Reply)
}

/// Sets the operating point of the device. `GET /device` has it.
#[utoipa::path(put, path = "/operating-point", request_body = OperatingPoint,
    responses((status = 200, body = OperatingPointReport), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)),
    security(("token" = [])))]
pub async fn set_operating_point(
    State(shared): App,
    From(author): From,
    Json(point): Json<OperatingPoint>,
) -> Result<Reply<OperatingPointReport>, ApiError> {
    let report = shared.device.run(move |controller| controller.set_operating_point(&author, Some(point))).await?;
    let gone = || ApiError::new(ErrorKind::DeviceFault, "the device has no operating point after it was set");
    report.map(Reply).ok_or_else(gone)
}

/// Removes the operating point of the device.
#[utoipa::path(delete, path = "/operating-point", responses((status = 200, description = "done")), security(("token" = [])))]
pub async fn clear_operating_point(
    State(shared): App,
    From(author): From,
) -> Result<Reply<serde_json::Value>, ApiError> {
    shared.device.run(move |controller| controller.set_operating_point(&author, None)).await?;
    Ok(Reply(serde_json::json!({})))
}

#[derive(Deserialize)]
pub struct LimitQuery {
    limit: Option<usize>,
}

/// The last entries of the audit log.
#[utoipa::path(get, path = "/audit", params(("limit" = Option<usize>, Query, description = "Most entries [default: 100]")),
    responses((status = 200, body = AuditReport)), security(("token" = [])))]
pub async fn audit(State(shared): App, Query(query): Query<LimitQuery>) -> Result<Reply<AuditReport>, ApiError> {
    let limit = query.limit.unwrap_or(100).min(10_000);
    let entries = shared.device.run(move |controller| controller.audit(limit)).await?;
    Ok(Reply(AuditReport { entries }))
}

#[derive(Deserialize)]
pub struct UndoQuery {
    revision: Option<u32>,
}

/// Takes the last change back.
#[utoipa::path(post, path = "/undo",
    params(("revision" = Option<u32>, Query, description = "Revision of the device that the client knows; another one is refused, because the last change may be that of another client")),
    responses((status = 200, body = Undone), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody)),
    security(("token" = [])))]
pub async fn undo(
    State(shared): App,
    From(author): From,
    Query(UndoQuery { revision }): Query<UndoQuery>,
) -> Result<Reply<Undone>, ApiError> {
    shared.device.run(move |controller| controller.undo(&author, revision)).await.map(Reply)
}
