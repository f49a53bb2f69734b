use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::random;

/// An answer by which the platform refuses.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    pub message: String,
    /// By which the platform's operator would find the request.
    reference: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            reference: None,
        }
    }

    /// The same with a reference, as API 1.7 answers.
    pub(crate) fn with_reference(self) -> Self {
        Self {
            reference: Some(random::key()),
            ..self
        }
    }

    /// The same about a part of the request.
    pub(crate) fn about(self, what: &str) -> Self {
        let message = format!("{what}: {}", self.message);
        Self { message, ..self }
    }

    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequest", message)
    }

    pub(crate) fn jwt(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidJWT", message)
    }

    pub(crate) fn grant(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidGrant", message)
    }

    pub(crate) fn token(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidToken", message)
    }

    pub(crate) fn redirect_uri(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRedirectUri", message)
    }

    pub(crate) fn session(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidSession", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(reference) = self.reference {
            error["reference"] = reference.into();
        }
        (self.status, Json(json!({"error": error}))).into_response()
    }
}
