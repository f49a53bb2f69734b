//! The endpoints of API 1.5, and what both versions need.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Extension, FromRequest, Multipart, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::Shared;
use super::misbehave::Signature;
use super::violations::{Answer, Refused};
use crate::api::Api;
use crate::keys::{self, SigningKey};
use crate::platform::Platform;
use crate::refusal::Refusal;
use crate::request_token::Request as VerifiedRequest;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/permission-access/session", post(establish_session))
        .route("/permission-access/postbox/{id}", post(push))
        .route("/oauth/authorize", post(authorize))
        .route("/oauth/token", post(token))
        .route("/jwks/oauth", get(key_set))
        .method_not_allowed_fallback(wrong_method)
}

pub(super) async fn wrong_method() -> Refused {
    let message = "the endpoint does not take this method";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "InvalidRequest", message).into()
}

async fn establish_session(
    State(shared): State<Arc<Shared>>,
    request: Result<Json<Value>, JsonRejection>,
) -> Answer {
    let Json(request) = request.map_err(|error| Refusal::request(error.body_text()))?;
    Ok(Json(shared.platform().establish_session(&request)?))
}

async fn authorize(state: State<Arc<Shared>>, signature: Signed, headers: HeaderMap) -> Answer {
    oauth(state, signature, &headers, Platform::authorize)
}

async fn token(state: State<Arc<Shared>>, signature: Signed, headers: HeaderMap) -> Answer {
    oauth(state, signature, &headers, |platform, request| {
        platform.grants.token(request)
    })
}

pub(super) type Signed = Option<Extension<Signature>>;

fn oauth(
    State(shared): State<Arc<Shared>>,
    signature: Signed,
    headers: &HeaderMap,
    decide: fn(&mut Platform, &VerifiedRequest) -> Result<Value, Refusal>,
) -> Answer {
    let claims = {
        let mut platform = shared.platform();
        let request = platform.verify(headers)?;
        decide(&mut platform, &request)?
    };
    let token = platform_token(&shared, Api::Postbox, signature, &claims);
    Ok(Json(json!({"token": token})))
}

/// The platform's token with these claims.
pub(super) fn platform_token(
    shared: &Shared,
    api: Api,
    signature: Signed,
    claims: &Value,
) -> String {
    let Extension(signature) = signature.unwrap_or_default();
    let kid = *shared.signing_key.borrow();
    let key = match signature {
        Signature::Forged => &keys::FORGER,
        _ => key_of(kid),
    };
    let origin = match signature {
        Signature::ForeignKeys => "http://localhost:1",
        _ => &shared.origin,
    };
    let mut header = Header::new(Algorithm::PS512);
    header.kid = Some(kid.into());
    header.jku = Some(format!("{origin}{}/jwks/oauth", api.path()));
    let token = encode(
        &header,
        claims,
        &EncodingKey::from_rsa_der(&key.private_der),
    );
    token.expect("a fresh key signs")
}

fn key_of(kid: &str) -> &'static SigningKey {
    if kid == "rotated" {
        &keys::ROTATED
    } else {
        &keys::PLATFORM
    }
}

pub(super) async fn key_set(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let kid = *shared.signing_key.borrow();
    Json(json!({"keys": [{"kid": kid, "kty": "RSA", "pem": key_of(kid).public_pem()}]}))
}

async fn push(
    State(shared): State<Arc<Shared>>,
    postbox_id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Answer {
    let Path(postbox_id) = postbox_id.map_err(|error| Refusal::request(error.body_text()))?;
    let accepted = shared
        .platform()
        .accept_push(request.headers(), postbox_id)?;
    let multipart = Multipart::from_request(request, &())
        .await
        .map_err(|error| Refusal::request(error.body_text()))?;
    let file = accepted.envelope.receive(multipart).await?;
    let answer = shared.platform().finish_push(accepted, file);
    Ok(Json(answer))
}
