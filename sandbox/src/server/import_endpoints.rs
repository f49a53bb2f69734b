//! The endpoints of API 1.7.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::Shared;
use super::endpoints::{Signed, key_set, platform_token, wrong_method};
use super::violations::Refused;
use crate::api::Api;
use crate::content::{Arrived, Arriving};
use crate::import::Invited;
use crate::platform::Platform;
use crate::refusal::Refusal;

/// The largest body of an endpoint that reads JSON, in bytes.
const SMALL: usize = 1 << 20;

/// The largest resource that is passed on to a provider, in bytes.
const LARGEST_RESOURCE: usize = 16 << 20;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/oauth/authorize", post(authorize))
        .route("/oauth/token", post(token))
        .route("/oauth/token/reference", post(token_reference))
        .route("/jwks/oauth", get(key_set))
        .route("/reference", post(reference))
        .route("/permission-access/import", post(import))
        .route(
            "/permission-access/import/h:accountId/{standard}/{version}",
            post(push_to_provider),
        )
        .route("/permission-access/accounts", get(accounts))
        .route(
            "/permission-access/service/h:accountId",
            delete(delete_account),
        )
        .route("/permission-access/contract", get(contract))
        .route("/permission-access/trigger", post(trigger))
        .route("/user", delete(delete_user))
        .method_not_allowed_fallback(async || Referred(wrong_method().await))
        .layer(DefaultBodyLimit::max(SMALL))
}

type Answer = Result<Json<Value>, Referred>;

/// A refusal with a reference.
struct Referred(Refused);

impl From<Refusal> for Referred {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.with_reference().into())
    }
}

impl IntoResponse for Referred {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

type JsonBody = Result<Json<Value>, JsonRejection>;
type NoBody = Result<Bytes, BytesRejection>;

fn json_of(body: JsonBody) -> Result<Value, Refusal> {
    match body {
        Ok(Json(body)) => Ok(body),
        Err(error) => Err(Refusal::request(error.body_text())),
    }
}

fn nothing_of(body: NoBody) -> Result<(), Refusal> {
    match body {
        Ok(body) if body.is_empty() => Ok(()),
        _ => Err(Refusal::request("the endpoint takes no body")),
    }
}

async fn authorize(
    State(shared): State<Arc<Shared>>,
    signature: Signed,
    headers: HeaderMap,
    body: JsonBody,
) -> Answer {
    let invited = shared.platform().invite(&headers, json_of(body))?;
    Ok(invitation(&shared, signature, &invited))
}

async fn token_reference(
    State(shared): State<Arc<Shared>>,
    signature: Signed,
    headers: HeaderMap,
    body: JsonBody,
) -> Answer {
    let invited = shared.platform().refer(&headers, json_of(body))?;
    Ok(invitation(&shared, signature, &invited))
}

fn invitation(shared: &Shared, signature: Signed, invited: &Invited) -> Json<Value> {
    let token = platform_token(shared, Api::Import, signature, &invited.claims);
    Json(json!({"token": token, "session": invited.session}))
}

async fn token(
    State(shared): State<Arc<Shared>>,
    signature: Signed,
    headers: HeaderMap,
    body: NoBody,
) -> Answer {
    let claims = shared.platform().import_token(&headers, nothing_of(body))?;
    let token = platform_token(&shared, Api::Import, signature, &claims);
    Ok(Json(json!({"token": token})))
}

async fn reference(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: JsonBody,
) -> Answer {
    let mut platform = shared.platform();
    Ok(Json(
        platform.hide_behind_reference(&headers, json_of(body))?,
    ))
}

async fn trigger(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: JsonBody) -> Answer {
    Ok(Json(shared.platform().trigger(&headers, json_of(body))?))
}

async fn accounts(state: State<Arc<Shared>>, headers: HeaderMap, body: NoBody) -> Answer {
    without_body(state, &headers, body, Platform::accounts)
}

async fn delete_account(state: State<Arc<Shared>>, headers: HeaderMap, body: NoBody) -> Answer {
    without_body(state, &headers, body, Platform::delete_account)
}

async fn delete_user(state: State<Arc<Shared>>, headers: HeaderMap, body: NoBody) -> Answer {
    without_body(state, &headers, body, Platform::delete_user)
}

async fn contract(state: State<Arc<Shared>>, headers: HeaderMap, body: NoBody) -> Answer {
    without_body(state, &headers, body, Platform::contract)
}

type Decide = fn(&mut Platform, &HeaderMap, Result<(), Refusal>) -> Result<Value, Refusal>;

fn without_body(
    State(shared): State<Arc<Shared>>,
    headers: &HeaderMap,
    body: NoBody,
    decide: Decide,
) -> Answer {
    let mut platform = shared.platform();
    Ok(Json(decide(&mut platform, headers, nothing_of(body))?))
}

async fn import(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let item = shared.platform().accept_import(request.headers())?;
    let arrived = receive(request.into_body()).await?;
    let answer = shared.platform().finish_import(item, arrived)?;
    Ok(Json(answer))
}

/// Reads a body to its end.
async fn receive(body: Body) -> Result<Arrived, Refusal> {
    let mut arriving = Arriving::new();
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| Refusal::request(format!("the body ended: {error}")))?;
        arriving.take(&part);
    }
    Ok(arriving.finish())
}

async fn push_to_provider(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Answer {
    let Path((standard, version)) = path.map_err(|error| Refusal::request(error.body_text()))?;
    let item = shared
        .platform()
        .accept_push_to_provider(request.headers(), standard, version)?;
    let body = axum::body::to_bytes(request.into_body(), LARGEST_RESOURCE).await;
    let body = body.map_err(|_| {
        let why = format!("the body is larger than {LARGEST_RESOURCE} bytes, or it was cut");
        Refusal::request(why)
    })?;
    check_object(&body)?;
    let mut arriving = Arriving::new();
    arriving.take(&body);
    let answer = shared.platform().finish_import(item, arriving.finish())?;
    Ok(Json(answer))
}

/// Checks that a body is a JSON object, without keeping what is in it.
fn check_object(body: &[u8]) -> Result<(), Refusal> {
    let not_an_object =
        |why: String| Refusal::request(format!("the body is not a JSON object{why}"));
    serde_json::from_slice::<IgnoredAny>(body)
        .map_err(|error| not_an_object(format!(": {error}")))?;
    if body.trim_ascii_start().starts_with(b"{") {
        Ok(())
    } else {
        Err(not_an_object(String::new()))
    }
}
