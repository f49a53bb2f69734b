//! What arrived in the user's digi.me.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::page;
use crate::clock;
use crate::platform::{Platform, Received};
use crate::server::Shared;

/// How many items are on one page.
const ITEMS: usize = 50;

/// The longest text that is shown in the page.
const SHOWN_TEXT: usize = 16 * 1024;

/// Images that browsers show and that can't contain scripts.
const IMAGES: [&str; 4] = ["image/gif", "image/jpeg", "image/png", "image/webp"];

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/inbox", get(inbox))
        .route("/inbox/version", get(version))
        .route("/inbox/{id}/content", get(content))
        .route("/inbox.js", get(script))
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct Inbox {
    version: String,
    total: usize,
    items: Vec<Item>,
    /// The id from which the page with older items continues.
    older: Option<usize>,
}

/// An item, as a person reads it.
struct Item {
    received: Received,
    /// The file's name, or what replaces it.
    title: String,
    contract: String,
    application: String,
    mime_type: String,
    accounts: Vec<String>,
    tags: Vec<String>,
    references: Vec<String>,
    arrived: String,
    is_kept: bool,
    shown: Shown,
}

/// How the content is shown in the page.
enum Shown {
    Text(String),
    Image,
    Nothing,
}

#[derive(Deserialize)]
struct InboxQuery {
    /// Shows the items that arrived before this one.
    before: Option<usize>,
}

async fn inbox(State(shared): State<Arc<Shared>>, Query(query): Query<InboxQuery>) -> Response {
    let inbox = {
        let platform = shared.platform();
        let mut items = platform.inbox.before(query.before.unwrap_or(usize::MAX));
        let shown: Vec<_> = items
            .by_ref()
            .take(ITEMS)
            .map(|received| Item::new(received, &platform))
            .collect();
        Inbox {
            version: version_of(&platform),
            total: platform.inbox.arrived(),
            older: items.next().map(|older| older.id + 1),
            items: shown,
        }
    };
    page(StatusCode::OK, &inbox)
}

/// Changes when an item arrives or is deleted, and when another sandbox takes the place of this one.
fn version_of(platform: &Platform) -> String {
    let sandbox = &platform.contracts.once.contract_id;
    let (arrived, deletions) = platform.inbox.version();
    format!("{sandbox}-{arrived}-{deletions}")
}

async fn version(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let version = version_of(&shared.platform());
    ([(header::CACHE_CONTROL, "no-store")], version)
}

async fn script() -> impl IntoResponse {
    const SCRIPT: &str = include_str!("../../../templates/inbox.js");
    let head = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (head, SCRIPT)
}

/// An item's content, to be stored and not to be opened: what applications send may be harmful.
async fn content(State(shared): State<Arc<Shared>>, Path(id): Path<usize>) -> Response {
    let found = {
        let platform = shared.platform();
        let item = platform.inbox.item(id);
        item.map(|item| (mime_type(item), disposition(&file_name(item))))
            .zip(platform.inbox.content(id).cloned())
    };
    let Some(((mime_type, disposition), content)) = found else {
        return (StatusCode::NOT_FOUND, "this content is not kept").into_response();
    };
    let is_safe = IMAGES.contains(&&*mime_type) || mime_type == "application/pdf";
    let mime_type = if is_safe {
        mime_type
    } else {
        "application/octet-stream".into()
    };
    let head = [
        (header::CONTENT_TYPE, mime_type),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
        (header::CONTENT_SECURITY_POLICY, "sandbox".into()),
    ];
    (head, content).into_response()
}

/// `Content-Disposition` with a file name, as in RFC 6266.
fn disposition(name: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let encoded = encoded.replace('+', "%20").replace('*', "%2A");
    format!("attachment; filename*=UTF-8''{encoded}")
}

impl Item {
    fn new(received: &Received, platform: &Platform) -> Self {
        let contract = platform.contracts.by_contract_id(&received.contract_id);
        let content = platform.inbox.content(received.id);
        let mime_type = mime_type(received);
        let texts = |name: &str| texts(&received.descriptor[name]);
        Self {
            title: title(received),
            contract: contract.map_or_else(String::new, |contract| contract.name.clone()),
            application: contract
                .map_or_else(String::new, |contract| contract.application_name.clone()),
            accounts: accounts(&received.descriptor),
            tags: texts("tags"),
            references: texts("reference"),
            arrived: in_words(received.arrived),
            is_kept: content.is_some(),
            shown: content.map_or(Shown::Nothing, |content| Shown::new(&mime_type, content)),
            mime_type,
            received: received.clone(),
        }
    }
}

impl Shown {
    fn new(mime_type: &str, content: &Bytes) -> Self {
        if IMAGES.contains(&mime_type) {
            return Self::Image;
        }
        let is_text = mime_type.starts_with("text/") || mime_type == "application/json";
        match std::str::from_utf8(content) {
            Ok(text) if is_text && text.len() <= SHOWN_TEXT => Self::Text(text.to_owned()),
            _ => Self::Nothing,
        }
    }
}

/// An import has no name.
fn title(item: &Received) -> String {
    match &item.provider {
        Some(provider) => format!("For a provider, {} {}", provider.standard, provider.version),
        None if item.name.is_empty() => "Imported file".into(),
        None => item.name.clone(),
    }
}

fn file_name(item: &Received) -> String {
    if item.name.is_empty() {
        format!("item-{}", item.id)
    } else {
        item.name.clone()
    }
}

/// The type without its parameters, in lower case.
fn mime_type(item: &Received) -> String {
    let whole = item.descriptor["mimeType"].as_str().unwrap_or_default();
    let essence = whole.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn accounts(descriptor: &Value) -> Vec<String> {
    let accounts = descriptor["accounts"].as_array().into_iter().flatten();
    accounts
        .filter_map(|account| account["accountId"].as_str())
        .map(ToOwned::to_owned)
        .collect()
}

fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten();
    texts
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned)
        .collect()
}

/// A time in Unix milliseconds, such as `2026-11-27 16:12:57 UTC`.
pub(super) fn in_words(time: u64) -> String {
    let written = humantime::format_rfc3339_seconds(clock::time(time)).to_string();
    written.replace('T', " ").replace('Z', " UTC")
}
