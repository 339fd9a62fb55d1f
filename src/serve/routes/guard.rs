//! What every request passes: rates, origin, token; and the headers of every response.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::super::assets;
use super::super::error::{ApiError, ErrorKind};
use super::shared::App;
use super::upload;

/// Refuses requests of other sites and clients that send too many, and adds the headers of every response.
pub async fn check(
    State(shared): App,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let allowed = shared
        .access
        .check_rate(client.ip().to_canonical())
        .and_then(|()| shared.access.check_origin(request.method(), request.headers()));
    let mut response = match allowed {
        Ok(()) => next.run(request).await,
        Err(error) => refused(request, error).await,
    };
    assets::secure(response.headers_mut());
    response
}

/// Refuses requests without a valid token.
pub async fn authorise(State(shared): App, request: Request, next: Next) -> Response {
    match shared.access.is_authorised(request.headers()) {
        true => next.run(request).await,
        false => {
            ApiError::new(ErrorKind::Unauthorised, "the request needs a token; pair this client first").into_response()
        }
    }
}

/// The reply to a request that is not handled.
async fn refused(request: Request, error: ApiError) -> Response {
    upload::drain(request.into_body()).await;
    error.into_response()
}
