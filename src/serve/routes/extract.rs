//! Parts of a request, whose errors are those of the API.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::controller::Author;
use super::super::error::{ApiError, ErrorKind};
use super::upload;

/// Who sent a request: address, and the number of the operator in the query.
pub struct From(pub Author);

/// The operator in the query of a request.
#[derive(Deserialize)]
struct OperatorQuery {
    operator: Option<u32>,
}

impl<S: Send + Sync> FromRequestParts<S> for From {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let client = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let client = client.map_or_else(String::new, |ConnectInfo(client)| client.ip().to_canonical().to_string());
        let Query(OperatorQuery { operator }) = Query::of(parts)?;
        Ok(Self(Author { client, operator: operator.filter(|&number| number != 0) }))
    }
}

/// A query, whose errors are those of the API.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> Query<T> {
    fn of(parts: &Parts) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| ApiError::new(ErrorKind::Input, error.body_text()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(parts)
    }
}

/// A JSON body of at most 256 KiB, whose errors are those of the API.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // A form of another site cannot have this type without asking first.
        if kind.split(';').next().is_none_or(|kind| kind.trim() != "application/json") {
            let message = format!("content type '{kind}'; expected application/json");
            upload::drain(request.into_body()).await;
            return Err(ApiError::new(ErrorKind::UnsupportedType, message));
        }
        let bytes = upload::collect(request.into_body(), JSON_BYTES_MAX).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| ApiError::new(ErrorKind::Input, error.to_string()))
    }
}

/// Bytes of a JSON body at most: 1,000 operators.
const JSON_BYTES_MAX: usize = 256 << 10;
