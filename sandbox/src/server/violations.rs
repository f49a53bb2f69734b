//! The mistakes for which programs are refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Shared;
use crate::refusal::Refusal;

pub(super) type Answer = Result<Json<Value>, Refused>;

/// Notes a mistake of a program.
pub(super) async fn note_violation(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    if let Some(Violation(why)) = response.extensions().get() {
        shared
            .violations
            .send_modify(|violations| violations.push(format!("{what}: {why}")));
    }
    response
}

/// Marks a refusal.
#[derive(Clone)]
struct Violation(String);

/// A noted refusal.
pub(super) struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let violation = Violation(self.0.message.clone());
        let mut response = self.0.into_response();
        response.extensions_mut().insert(violation);
        response
    }
}
