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
    postbox_id: String,
    contract: String,
    application: String,
    since: String,
    items: usize,
}

async fn connections(State(shared): State<Arc<Shared>>) -> Response {
    let connections = {
        let platform = shared.platform();
        let mut items: HashMap<&str, usize> = HashMap::new();
        for item in platform.inbox.items() {
            *items.entry(&item.postbox_id).or_default() += 1;
        }
        let newest_first = platform.grants.consents().iter().rev();
        newest_first
            .map(|consent| {
                let postbox_id = &consent.postbox_id;
                let contract = platform.contracts.by_contract_id(&consent.contract_id);
                Connection {
                    postbox_id: postbox_id.clone(),
                    contract: contract.map_or_else(String::new, |it| it.name.clone()),
                    application: contract
                        .map_or_else(String::new, |it| it.application_name.clone()),
                    since: in_words(consent.since),
                    items: items.get(&**postbox_id).copied().unwrap_or_default(),
                }
            })
            .collect()
    };
    page(StatusCode::OK, &Connections { connections })
}

#[derive(Deserialize)]
struct Withdraw {
    postbox_id: String,
}

async fn withdraw(
    State(shared): State<Arc<Shared>>,
    Form(Withdraw { postbox_id }): Form<Withdraw>,
) -> Redirect {
    let mut platform = shared.platform();
    platform
        .grants
        .end_consents(|grant| grant.postbox_id == postbox_id);
    Redirect::to("/connections")
}
