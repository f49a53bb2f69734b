//! What the user's client would show for a link, and the page on which a guest consents.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use url::{Position, Url};

use super::page;
use crate::bad_link::BadLink;
use crate::import::onboarding;
use crate::platform::scope;
use crate::reply::Decision;
use crate::server::{Shared, web_address};
use crate::user_client::{Asked, Opened};

const PHONE: &str = "/phone";
const GUEST: &str = "/apps/quark/v1/direct-onboarding";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route(PHONE, get(open_link).post(answer_link))
        .route(GUEST, get(open_guest).post(answer_guest))
}

/// The form for a link.
#[derive(Template)]
#[template(path = "phone.html")]
struct Phone;

/// The question whether the user consents.
#[derive(Template)]
#[template(path = "request.html")]
struct Question<'a> {
    asked: Asked,
    scope: Vec<String>,
    /// Whether a guest is asked in a browser.
    guest: bool,
    action: &'static str,
    /// What identifies the link in the form.
    fields: [(&'static str, &'a str); 2],
}

/// What a link means that asks nothing.
#[derive(Template)]
#[template(path = "note.html")]
struct Note {
    heading: &'static str,
    text: String,
    link: Option<(&'static str, &'static str)>,
}

/// Why a link can't be opened.
#[derive(Template)]
#[template(path = "bad_link.html")]
struct Bad<'a> {
    why: String,
    link: &'a str,
}

#[derive(Deserialize)]
struct LinkQuery {
    #[serde(default)]
    link: String,
}

async fn open_link(State(shared): State<Arc<Shared>>, Query(query): Query<LinkQuery>) -> Response {
    let link = query.link.trim();
    if link.is_empty() {
        return page(StatusCode::OK, &Phone);
    }
    if let Some(address) = web_address(link) {
        return match onboarding::Link::read(&address, &shared.origin) {
            Ok(_) => Redirect::to(&address[Position::BeforePath..]).into_response(),
            Err(why) => bad(&why, link),
        };
    }
    if let Some(note) = note(&shared, link) {
        return page(StatusCode::OK, &note);
    }
    let opened = Opened::read(link).and_then(|opened| opened.check(&shared.platform()));
    match opened {
        Err(why) => bad(&why, link),
        Ok(asked) => page(
            StatusCode::OK,
            &Question {
                scope: scope::in_words(&asked.scope),
                asked,
                guest: false,
                action: PHONE,
                fields: [("link", link), ("", "")],
            },
        ),
    }
}

#[derive(Deserialize)]
struct LinkAnswer {
    link: String,
    decision: Decision,
}

async fn answer_link(
    State(shared): State<Arc<Shared>>,
    Form(answer): Form<LinkAnswer>,
) -> Response {
    let callback = shared.answer(&answer.link, &answer.decision.into()).await;
    go_to(callback, &answer.link)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GuestQuery {
    #[serde(default)]
    session_exchange_token: String,
    #[serde(default)]
    callback_url: String,
}

async fn open_guest(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<GuestQuery>,
) -> Response {
    let (token, callback) = (&*query.session_exchange_token, &*query.callback_url);
    let opened = Opened::guest(token, callback).and_then(|opened| opened.check(&shared.platform()));
    match opened {
        Err(why) => bad(&why, ""),
        Ok(asked) => page(
            StatusCode::OK,
            &Question {
                scope: scope::in_words(&asked.scope),
                asked,
                guest: true,
                action: GUEST,
                fields: [("sessionExchangeToken", token), ("callbackUrl", callback)],
            },
        ),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GuestAnswer {
    session_exchange_token: String,
    callback_url: String,
    decision: Decision,
}

async fn answer_guest(
    State(shared): State<Arc<Shared>>,
    Form(answer): Form<GuestAnswer>,
) -> Response {
    let callback = match Opened::guest(&answer.session_exchange_token, &answer.callback_url) {
        Ok(opened) => shared.decide(&opened, answer.decision).await,
        Err(why) => Err(why),
    };
    go_to(callback, "")
}

pub(super) fn go_to(callback: Result<Url, BadLink>, link: &str) -> Response {
    match callback {
        Ok(callback) => Redirect::to(callback.as_str()).into_response(),
        Err(why) => bad(&why, link),
    }
}

pub(super) fn bad(why: &BadLink, link: &str) -> Response {
    let why = why.to_string();
    page(StatusCode::BAD_REQUEST, &Bad { why, link })
}

/// What a link of the protocol means that asks for no consent to push.
fn note(shared: &Shared, link: &str) -> Option<Note> {
    let link = Url::parse(link).ok()?;
    if link.scheme() != "digime" {
        return None;
    }
    match (link.host_str()?, link.path()) {
        ("postbox", "/import") => Some(Note {
            heading: "Import what waits in the postbox",
            text: "This link opens digi.me, which imports what waits in the person's postboxes. \
                   The sandbox imports everything as soon as it arrives."
                .into(),
            link: Some(("/inbox", "Open the inbox")),
        }),
        ("receipt", "" | "/") => Some(receipt(shared, &link)),
        ("consent-access", _) => Some(Note {
            heading: "A request to read data",
            text: "This link asks for consent to read the person's data (private share). \
                   The sandbox plays postboxes only, to which data is pushed."
                .into(),
            link: None,
        }),
        _ => None,
    }
}

fn receipt(shared: &Shared, link: &Url) -> Note {
    let parameter = |name: &str| {
        let found = link.query_pairs().find(|(own, _)| own == name);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let (contract_id, application_id) = (parameter("contractId"), parameter("appId"));
    let platform = shared.platform();
    let contract = platform
        .contracts
        .by_contract_id(&contract_id)
        .filter(|contract| contract.application_id == application_id);
    let text = match contract {
        Some(contract) => {
            let given = platform.grants.consents();
            let given = given.filter(|consent| consent.contract_id == contract_id);
            format!(
                "This link shows what a person agreed to with {} under the contract {}. Consents that have not ended: {}.",
                contract.application_name,
                contract.name,
                given.count()
            )
        }
        None => format!(
            "This link shows what a person agreed to, but the sandbox has no contract `{contract_id}` of an application `{application_id}`."
        ),
    };
    Note {
        heading: "The receipt of a consent",
        text,
        link: Some(("/connections", "Open the connections")),
    }
}
