//! The requests that lead to a page on which a person consents: `POST oauth/authorize` and `POST oauth/token/reference`.

use digime::error::Operation;
use digime::request::{Answer, Request};
use digime::{AccessToken, Error, Flow, Verifier};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::agent::agent;
use crate::onboarding::OnboardingUrl;
use crate::options::{ConsentOptions, PullOptions, RenewalOptions};
use crate::{AwaitingConsent, ReadingSession};

/// The answer of both requests.
#[derive(Deserialize)]
struct Authorization {
    token: String,
    session: ReadingSession,
}

/// The claims of the token in the answer to an authorization.
#[derive(Deserialize)]
struct Preauthorization {
    preauthorization_code: String,
}

/// The claims of the token in the answer to a request for a reference.
#[derive(Deserialize)]
struct Reference {
    reference_code: String,
}

/// The answer to a request for a reference to something that the application has.
#[derive(Deserialize)]
struct ReferenceId {
    id: String,
}

/// `POST oauth/authorize`: asks for a first consent.
pub(crate) async fn authorize<C, S>(
    flow: &Flow<C, S>,
    options: &ConsentOptions,
) -> Result<AwaitingConsent<Verifier>, Error> {
    let pages = OnboardingUrl::of(flow.client())?;
    let storage = match &options.storage {
        Some(id) => Some(refer_to_storage(flow, id).await?),
        None => None,
    };
    let (verifier, state) = (flow.client().code_verifier(), flow.client().random_state());
    let claims = json!({
        "code_challenge": verifier.challenge(),
        "code_challenge_method": "S256",
        "response_mode": "query",
        "response_type": "code",
        "state": state,
    });
    let mut request = Request::post(["oauth", "authorize"], Operation::Authorize)
        .claims(&claims)
        .secret(&state)
        .json(&body(options.pull.as_ref()));
    if let Some(token) = &options.library_of {
        request = request.access_token(token);
    }
    let answer = flow.request(request).await?;
    let (claims, session): (Preauthorization, _) = read(flow, &answer).await?;
    let code = claims.preauthorization_code;
    let page = pages.page("authorize", &options.query(&code, storage));
    let verifier = Verifier::new(verifier, code);
    let clock = flow.client().platform_clock();
    Ok(AwaitingConsent::new(page, state, session, verifier, clock))
}

/// `POST oauth/token/reference`: asks for the renewal of a consent. The access token may have expired.
pub(crate) async fn reauthorize<C, S>(
    flow: &Flow<C, S>,
    token: &AccessToken,
    options: &RenewalOptions,
) -> Result<AwaitingConsent<Verifier>, Error> {
    let pages = OnboardingUrl::of(flow.client())?;
    let (verifier, state) = (flow.client().code_verifier(), flow.client().random_state());
    let claims = json!({
        "code_challenge": verifier.challenge(),
        "code_challenge_method": "S256",
        "state": state,
    });
    let path = ["oauth", "token", "reference"];
    let request = Request::post(path, Operation::Authorize)
        .claims(&claims)
        .access_token(token)
        .secret(&state)
        .json(&body(options.pull.as_ref()));
    let answer = flow.request(request).await?;
    let (claims, session): (Reference, _) = read(flow, &answer).await?;
    let code = claims.reference_code;
    let page = pages.page("user-reauth", &options.query(&code));
    let verifier = Verifier::new(verifier, code);
    let clock = flow.client().platform_clock();
    Ok(AwaitingConsent::new(page, state, session, verifier, clock))
}

/// `POST reference`: what a page calls a storage of the application.
async fn refer_to_storage<C, S>(flow: &Flow<C, S>, id: &str) -> Result<String, Error> {
    let request = Request::post(["reference"], Operation::custom("refer to the storage"))
        .json(&json!({"type": "cloudId", "value": id}))
        .without_redirect_uri();
    let reference: ReferenceId = flow.request(request).await?.json()?;
    Ok(reference.id)
}

async fn read<C, S, T: for<'de> Deserialize<'de>>(
    flow: &Flow<C, S>,
    answer: &Answer,
) -> Result<(T, ReadingSession), Error> {
    let Authorization { token, session } = answer.json()?;
    Ok((flow.verify(answer, &token).await?, session))
}

fn body(pull: Option<&PullOptions>) -> Value {
    let mut body = Map::new();
    body.insert("agent".into(), agent());
    if let Some(pull) = pull {
        body.insert("actions".into(), json!({"pull": pull}));
    }
    body.into()
}
