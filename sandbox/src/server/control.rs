//! The endpoints by which tests play the user and set faults.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::violations::Answer;
use crate::fault_request::FaultRequest;
use crate::platform::Received;
use crate::refusal::Refusal;
use crate::reply::{Decision, Reply};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/consent", get(consent))
        .route("/inbox", get(inbox))
        .route("/violations", get(violations))
        .route("/faults", post(inject))
        .route("/expire-access-tokens", post(expire_access_tokens))
        .route("/end-sessions", post(end_sessions))
        .route("/end-consent", post(end_consent))
        .route("/clock", post(advance))
}

#[derive(Deserialize)]
struct ConsentQuery {
    link: String,
    #[serde(default = "approve")]
    decision: Decision,
    /// Who answers.
    user: Option<String>,
    #[serde(default)]
    without_state: bool,
}

impl ConsentQuery {
    fn reply(&self) -> Reply {
        let mut reply = Reply::new(self.decision);
        if let Some(user_id) = &self.user {
            reply = reply.by(user_id);
        }
        if self.without_state {
            reply = reply.without_state();
        }
        reply
    }
}

fn approve() -> Decision {
    Decision::Approve
}

async fn consent(State(shared): State<Arc<Shared>>, Query(query): Query<ConsentQuery>) -> Answer {
    let callback = shared.answer(&query.link, &query.reply()).await;
    let callback = callback
        .map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, "InvalidLink", why.to_string()))?;
    Ok(Json(json!({"callback": callback.as_str()})))
}

async fn inbox(State(shared): State<Arc<Shared>>) -> Json<Vec<Received>> {
    Json(shared.platform().inbox.items().cloned().collect())
}

async fn violations(State(shared): State<Arc<Shared>>) -> Json<Vec<String>> {
    Json(shared.violations.borrow().since(0).cloned().collect())
}

async fn inject(
    State(shared): State<Arc<Shared>>,
    request: Result<Json<FaultRequest>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let Json(request) = request.map_err(|error| Refusal::request(error.body_text()))?;
    let endpoint = request.endpoint;
    let faults = request.faults().map_err(Refusal::request)?;
    let injected = faults.len();
    for fault in faults {
        shared.inject(endpoint, fault);
    }
    Ok(Json(json!({"injected": injected})))
}

async fn expire_access_tokens(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.platform().grants.expire_access_tokens();
    Json(json!({}))
}

async fn end_sessions(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.platform().end_sessions();
    Json(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: u64,
}

async fn advance(
    State(shared): State<Arc<Shared>>,
    by: Result<Json<Advance>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let Json(by) = by.map_err(|error| Refusal::request(error.body_text()))?;
    let mut platform = shared.platform();
    platform.advance(Duration::from_secs(by.advance_seconds));
    Ok(Json(json!({"now": platform.now()})))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndConsent {
    contract_id: Option<String>,
}

async fn end_consent(
    State(shared): State<Arc<Shared>>,
    which: Result<Option<Json<EndConsent>>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let which = which.map_err(|error| Refusal::request(error.body_text()))?;
    let which = which.map(|Json(which)| which).unwrap_or_default();
    let mut platform = shared.platform();
    let ended = match which.contract_id {
        None => platform.grants.end_consents(|_| true),
        Some(id) if platform.contracts.by_contract_id(&id).is_none() => {
            let message = "no contract has this id";
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "InvalidContractId",
                message,
            ));
        }
        Some(id) => platform
            .grants
            .end_consents(|grant| grant.contract_id == id),
    };
    Ok(Json(json!({"ended": ended})))
}
