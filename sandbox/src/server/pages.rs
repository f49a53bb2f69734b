//! Pages for a person.

mod connections;
mod inbox;
mod onboarding;
mod phone;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::Shared;
use super::violations::Violations;
use crate::contract::Contract;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(index))
        .route("/style.css", get(stylesheet))
        .merge(phone::routes())
        .merge(onboarding::routes())
        .merge(inbox::routes())
        .merge(connections::routes())
}

/// Nothing is loaded from elsewhere, and no script is in a page. The target of a form is not restricted, because browsers
/// apply that to the redirection to the application's callback as well.
const CONTENT_SECURITY_POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; frame-ancestors 'none'",
);

/// Other sites learn nothing of the links and codes in addresses. With `no-referrer`, browsers would not say either where a
/// form comes from.
const REFERRER_POLICY: (HeaderName, &str) = (header::REFERRER_POLICY, "same-origin");

/// Renders a page.
fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (
            status,
            [
                CONTENT_SECURITY_POLICY,
                (header::CACHE_CONTROL, "no-store"),
                REFERRER_POLICY,
            ],
            Html(html),
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn stylesheet() -> impl IntoResponse {
    const CSS: &str = include_str!("../../templates/style.css");
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], CSS)
}

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    base_url: String,
    import_base_url: String,
    contracts: Vec<Contract>,
    violations: Vec<String>,
}

async fn index(State(shared): State<Arc<Shared>>) -> Response {
    let latest = |violations: &Violations| violations.since(0).rev().take(20).cloned().collect();
    let violations = latest(&shared.violations.borrow());
    let contracts = shared.platform().contracts.iter().cloned().collect();
    let index = Index {
        base_url: shared.base_url.clone(),
        import_base_url: shared.import_base_url.clone(),
        contracts,
        violations,
    };
    page(StatusCode::OK, &index)
}
