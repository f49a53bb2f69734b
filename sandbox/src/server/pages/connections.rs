//! The applications that may push, and how the user ends that.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::inbox::in_words;
use super::page;
use crate::platform::Received;
use crate::platform::grant::{Grant, Place};
use crate::server::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/connections", get(connections))
        .route("/connections/withdraw", post(withdraw))
}

#[derive(Template)]
#[template(path = "connections.html")]
struct Connections {
    connections: Vec<Connection>,
}

struct Connection {
    consent_id: String,
    contract: String,
    application: String,
    since: String,
    ends: String,
    /// The person's id, of a consent by API 1.7.
    user_id: Option<String>,
    items: usize,
}

async fn connections(State(shared): State<Arc<Shared>>) -> Response {
    let connections = {
        let platform = shared.platform();
        let mut items: HashMap<_, usize> = HashMap::new();
        for item in platform.inbox.items() {
            *items.entry(way_of(item)).or_default() += 1;
        }
        let newest_first = platform.grants.consents().rev();
        newest_first
            .map(|consent| {
                let contract = platform.contracts.by_contract_id(&consent.contract_id);
                Connection {
                    consent_id: consent.consent_id.clone(),
                    contract: contract.map_or_else(String::new, |it| it.name.clone()),
                    application: contract
                        .map_or_else(String::new, |it| it.application_name.clone()),
                    since: in_words(consent.since),
                    ends: in_words(platform.grants.end_of(consent)),
                    user_id: consent.place.user_id().map(ToOwned::to_owned),
                    items: items.get(&way_under(consent)).copied().unwrap_or_default(),
                }
            })
            .collect()
    };
    page(StatusCode::OK, &Connections { connections })
}

/// The contract, and the postbox or the person, by which an item arrived.
type Way<'a> = (&'a str, &'a str);

fn way_of(item: &Received) -> Way<'_> {
    let place = item.user_id.as_ref().unwrap_or(&item.postbox_id);
    (&item.contract_id, place)
}

fn way_under(consent: &Grant) -> Way<'_> {
    let (Place::Postbox(place) | Place::Library(place)) = &consent.place;
    (&consent.contract_id, place)
}

#[derive(Deserialize)]
struct Withdraw {
    consent_id: String,
}

async fn withdraw(
    State(shared): State<Arc<Shared>>,
    Form(Withdraw { consent_id }): Form<Withdraw>,
) -> Redirect {
    let mut platform = shared.platform();
    platform
        .grants
        .end_consents(|grant| grant.consent_id == consent_id);
    Redirect::to("/connections")
}
