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
    /// Whether the program did something wrong, which is noted.
    pub is_mistake: bool,
    /// By which the platform's operator would find the request.
    reference: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            is_mistake: true,
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

    /// An access token that was valid once. A program learns that only from this refusal, so it did nothing wrong.
    pub(crate) fn expired_access_token() -> Self {
        let is_mistake = false;
        let refusal = Self::token("The token (access_token) is expired/invalid");
        Self {
            is_mistake,
            ..refusal
        }
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
