//! What a session asks for.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::refusal::Refusal;

/// Checks that a scope has the protocol's form.
pub(crate) fn check(scope: &Value) -> Result<(), Refusal> {
    let bad = || Refusal::request("`scope` is not in the protocol's form");
    if scope.is_null() {
        return Ok(());
    }
    for (name, value) in scope.as_object().ok_or_else(bad)? {
        if !is_part(name, value) {
            return Err(bad());
        }
    }
    Ok(())
}

/// Whether a member of a scope has the form that both versions of the API know.
pub(crate) fn is_part(name: &str, value: &Value) -> bool {
    let Some(parts) = value.as_array() else {
        return false;
    };
    match name {
        "timeRanges" => parts.iter().all(is_time_range),
        "serviceGroups" => parts.iter().all(|group| {
            all_with_ids(group, "serviceTypes", |kind| {
                all_with_ids(kind, "serviceObjectTypes", |_| true)
            })
        }),
        _ => false,
    }
}

fn is_time_range(range: &Value) -> bool {
    range.as_object().is_some_and(|range| {
        !range.is_empty()
            && range.iter().all(|(name, value)| match name.as_str() {
                "from" | "to" => value.is_i64(),
                "last" => is_last(value),
                _ => false,
            })
    })
}

/// Whether a value is a number and a unit, such as `6m`.
pub(crate) fn is_last(value: &Value) -> bool {
    value.as_str().is_some_and(|last| {
        let number = last.strip_suffix(['d', 'm', 'y']);
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    })
}

fn all_with_ids(owner: &Value, name: &str, inner: impl Fn(&Value) -> bool) -> bool {
    let has_id = owner.get("id").is_some();
    has_id
        && owner[name].as_array().is_some_and(|parts| {
            parts
                .iter()
                .all(|part| part.get("id").is_some() && inner(part))
        })
}

/// A scope that was checked, as sentences for a person. None for a session without a scope.
pub(crate) fn in_words(scope: &Value) -> Vec<String> {
    let parts = |name: &str| scope[name].as_array().into_iter().flatten();
    parts("timeRanges")
        .map(time_range_in_words)
        .chain(parts("serviceGroups").map(service_group_in_words))
        .collect()
}

fn time_range_in_words(range: &Value) -> String {
    let mut words = Vec::new();
    if let Some(from) = range["from"].as_i64() {
        words.push(format!("from {}", date(from)));
    }
    if let Some(to) = range["to"].as_i64() {
        words.push(format!("until {}", date(to)));
    }
    if let Some(last) = range["last"].as_str() {
        let (number, unit) = last.split_at(last.len().saturating_sub(1));
        let unit = match unit {
            "d" => "days",
            "m" => "months",
            _ => "years",
        };
        words.push(format!("of the last {number} {unit}"));
    }
    format!("Data {}", words.join(", "))
}

/// A Unix time in seconds as a date.
fn date(seconds: i64) -> String {
    let since = u64::try_from(seconds).unwrap_or_default();
    // The formatter can't write a date after the year 9999.
    let last = 253_402_300_799;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(since.min(last));
    let written = humantime::format_rfc3339_seconds(time).to_string();
    written.split('T').next().unwrap_or_default().to_owned()
}

fn service_group_in_words(group: &Value) -> String {
    let types = group["serviceTypes"].as_array();
    let types: Vec<_> = types
        .into_iter()
        .flatten()
        .map(|kind| {
            let objects = kind["serviceObjectTypes"].as_array();
            let objects: Vec<_> = objects
                .into_iter()
                .flatten()
                .map(|object| object["id"].to_string())
                .collect();
            format!(
                "service type {} with object types {}",
                kind["id"],
                objects.join(", ")
            )
        })
        .collect();
    format!("Service group {}: {}", group["id"], types.join("; "))
}
