//! The mistakes for which programs are refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Shared;
use crate::latest::Latest;
use crate::refusal::Refusal;

pub(super) type Answer = Result<Json<Value>, Refused>;

/// How many mistakes are kept.
const KEPT: usize = 1000;

pub(crate) type Violations = Latest<String, KEPT>;

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
            .send_modify(|violations| violations.add(format!("{what}: {why}")));
    }
    response
}

/// Marks a refusal.
#[derive(Clone)]
struct Violation(String);

/// A refusal, which is noted if the program made a mistake.
pub(super) struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let violation = self.0.is_mistake.then(|| Violation(self.0.message.clone()));
        let mut response = self.0.into_response();
        if let Some(violation) = violation {
            response.extensions_mut().insert(violation);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_dropped_and_all_are_counted() {
        let mut violations = Violations::default();
        for number in 0..KEPT + 2 {
            violations.add(number.to_string());
        }
        assert_eq!(violations.count(), KEPT + 2);
        assert_eq!(violations.since(0).count(), KEPT);
        assert_eq!(violations.since(0).next().map(String::as_str), Some("2"));
        let new: Vec<_> = violations.since(KEPT).collect();
        assert_eq!(new, ["1000", "1001"]);
        assert_eq!(violations.since(KEPT + 2).count(), 0);
    }
}
