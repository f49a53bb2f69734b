//! What an application says of an item.

use serde_json::Value;

/// Whether a value is a descriptor: `mimeType`, `accounts`, and possibly `reference` and `tags`.
pub(crate) fn is_descriptor(value: &Value) -> bool {
    let accounts = value["accounts"].as_array();
    value["mimeType"].is_string()
        && accounts.is_some_and(|accounts| {
            let mut ids = accounts.iter().map(|account| &account["accountId"]);
            ids.all(Value::is_string)
        })
        && ["reference", "tags"]
            .iter()
            .all(|name| value.get(name).is_none_or(is_texts))
}

fn is_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|texts| texts.iter().all(Value::is_string))
}
