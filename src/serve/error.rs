//! Errors of the API: an HTTP status and the JSON object of `--json`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use macula_edge::protocol::Reason;
use serde::Serialize;
use utoipa::ToSchema;

use crate::data::DataError;
use crate::device::KeptImageError;
use crate::files::WriteError;
use crate::link::LinkError;

/// The kind of an error. Programs rely on these names, so they do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// A value of the request is not allowed.
    Input,
    /// There is no such thing.
    NotFound,
    /// The device has no such class.
    UnknownClass,
    /// The device has no such sample.
    UnknownSample,
    /// The image is a sample of another class; `found` is its slot.
    Exists,
    /// The state is that of another encoder.
    OtherEncoder,
    /// The device or the server refuses the request, for `reason` if it is the device.
    Refused,
    /// The request has no valid token.
    Unauthorised,
    /// The request comes from another site, or names another host.
    Forbidden,
    /// The body has more than `limit` bytes, or the image more than `limit` pixels.
    TooLarge,
    /// The body is no image that can be read.
    UnsupportedType,
    /// This client sent too many requests.
    RateLimited,
    /// The server has too many requests at once.
    Busy,
    /// The device does not answer.
    Unreachable,
    /// The device, its store or a file of the page is at fault.
    DeviceFault,
}

impl ErrorKind {
    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::NotFound => "not-found",
            Self::UnknownClass => "unknown-class",
            Self::UnknownSample => "unknown-sample",
            Self::Exists => "exists",
            Self::OtherEncoder => "other-encoder",
            Self::Refused => "refused",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::TooLarge => "too-large",
            Self::UnsupportedType => "unsupported-type",
            Self::RateLimited => "rate-limited",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
            Self::DeviceFault => "device-fault",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Input => StatusCode::BAD_REQUEST,
            Self::NotFound | Self::UnknownClass | Self::UnknownSample => StatusCode::NOT_FOUND,
            Self::Exists | Self::OtherEncoder => StatusCode::CONFLICT,
            Self::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable => StatusCode::GATEWAY_TIMEOUT,
            Self::DeviceFault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What happened, in English.
    pub message: String,
    /// Number of the device's reason; see `docs/protocol.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<u64>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<u64>,
    /// What is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// The body of an error.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}

impl ApiError {
    /// An error without numbers.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), reason: None, found: None, limit: None }
    }

    /// The same error with what was found and what is allowed.
    pub fn with(self, found: u64, limit: u64) -> Self {
        Self { found: Some(found), limit: Some(limit), ..self }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let kind = self.kind;
        let mut response = (kind.status(), Json(ErrorBody { error: self })).into_response();
        let (name, value) = match kind {
            ErrorKind::Unauthorised => (header::WWW_AUTHENTICATE, "Bearer"),
            ErrorKind::RateLimited | ErrorKind::Busy => (header::RETRY_AFTER, "1"),
            _ => return response,
        };
        response.headers_mut().insert(name, HeaderValue::from_static(value));
        response
    }
}

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        let message = error.to_string();
        let LinkError::Refused { refusal, .. } = &error else {
            let kind = if error.is_silence() { ErrorKind::Unreachable } else { ErrorKind::DeviceFault };
            return Self::new(kind, message);
        };
        let kind = match refusal.reason() {
            Some(Reason::NoSuchClass) => ErrorKind::UnknownClass,
            Some(Reason::SourceTaken | Reason::NameTaken) => ErrorKind::Exists,
            Some(Reason::StoreFault) => ErrorKind::DeviceFault,
            _ => ErrorKind::Refused,
        };
        Self { reason: Some(refusal.code.into()), ..Self::new(kind, message) }.with(refusal.found, refusal.limit)
    }
}

impl From<DataError> for ApiError {
    fn from(error: DataError) -> Self {
        Self::new(ErrorKind::UnsupportedType, error.to_string())
    }
}

impl From<KeptImageError> for ApiError {
    fn from(error: KeptImageError) -> Self {
        Self::new(ErrorKind::DeviceFault, error.to_string())
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        Self::new(ErrorKind::DeviceFault, error.to_string())
    }
}
