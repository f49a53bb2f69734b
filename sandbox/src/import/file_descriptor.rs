//! The header `FileDescriptor`: what is imported, signed by the application.

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use super::bodies::{object, only};
use super::header;
use crate::contract::Contract;
use crate::descriptor::is_descriptor;
use crate::refusal::Refusal;
use crate::request_token;

/// Verifies the header, and returns the metadata.
pub(super) fn read(headers: &HeaderMap, contract: &Contract) -> Result<Value, Refusal> {
    let token = header(headers, "FileDescriptor")?;
    request_token::check_header(token).map_err(about_header)?;
    let payload = request_token::verify_signature(token, contract)
        .ok_or_else(|| Refusal::jwt("`FileDescriptor`: the signature is not the contract's"))?;
    check(payload).map_err(about_header)
}

fn about_header(refusal: Refusal) -> Refusal {
    refusal.about("`FileDescriptor`")
}

fn check(mut payload: Map<String, Value>) -> Result<Value, Refusal> {
    only(&payload, "the payload", &["metadata"])?;
    let metadata = payload.remove("metadata").unwrap_or_default();
    let members = object(&metadata, "`metadata`")?;
    let known = ["mimeType", "accounts", "reference", "tags"];
    only(members, "`metadata`", &known)?;
    if !is_descriptor(&metadata) {
        let why = "`metadata` has no `mimeType`, no `accounts` with an `accountId` each, or a member of a wrong type";
        return Err(Refusal::request(why));
    }
    let accounts = metadata["accounts"].as_array();
    let accounts = accounts.filter(|accounts| !accounts.is_empty());
    let accounts = accounts.ok_or_else(|| Refusal::request("`accounts` is empty"))?;
    for account in accounts {
        only(object(account, "an account")?, "an account", &["accountId"])?;
        if account["accountId"] == "" {
            return Err(Refusal::request("an `accountId` is empty"));
        }
    }
    if metadata["mimeType"] == "" {
        return Err(Refusal::request("`mimeType` is empty"));
    }
    Ok(metadata)
}
