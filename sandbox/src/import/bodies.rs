//! The JSON bodies that say which program asks, and for what.

use serde_json::{Map, Value};

use crate::platform::scope;
use crate::refusal::Refusal;

/// Checks the body of authorize and token/reference: `agent`, and possibly `actions`. Returns the scope for a person to read.
pub(super) fn agent_and_actions(body: &Value) -> Result<Value, Refusal> {
    let body = object(body, "the body")?;
    only(body, "the body", &["agent", "actions"])?;
    check_agent(body)?;
    let Some(actions) = body.get("actions") else {
        return Ok(Value::Null);
    };
    let actions = object(actions, "`actions`")?;
    only(actions, "`actions`", &["pull"])?;
    match actions.get("pull") {
        None => Ok(Value::Null),
        Some(options) => session_options(object(options, "`actions.pull`")?),
    }
}

/// Checks the body of trigger: `agent`, and beside it the options of a session.
pub(super) fn agent_and_options(body: &Value) -> Result<(), Refusal> {
    let body = object(body, "the body")?;
    check_agent(body)?;
    let mut options = body.clone();
    options.remove("agent");
    session_options(&options)?;
    Ok(())
}

fn check_agent(body: &Map<String, Value>) -> Result<(), Refusal> {
    let bad = || Refusal::request("the body has no `agent` with `sdk.name` and `sdk.version`");
    let agent = body.get("agent").ok_or_else(bad)?;
    let sdk = agent["sdk"].as_object().ok_or_else(bad)?;
    for name in ["name", "version"] {
        let text = sdk.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).ok_or_else(bad)?;
    }
    only(object(agent, "`agent`")?, "`agent`", &["sdk"])?;
    only(sdk, "`agent.sdk`", &["name", "version", "meta"])?;
    if sdk.get("meta").is_some_and(|meta| !meta.is_object()) {
        return Err(Refusal::request("`agent.sdk.meta` is not an object"));
    }
    Ok(())
}

/// Checks the options of a session, and returns their scope.
fn session_options(options: &Map<String, Value>) -> Result<Value, Refusal> {
    let known = ["limits", "scope", "sourceFetch", "sourceFetchFilter"];
    only(options, "the options of the session", &known)?;
    for (name, value) in options {
        let well_formed = match name.as_str() {
            "limits" => is_limits(value),
            "scope" => is_scope(value),
            "sourceFetch" => value.is_boolean(),
            _ => is_filter(value),
        };
        if !well_formed {
            let why = format!("`{name}` is not in the protocol's form");
            return Err(Refusal::request(why));
        }
    }
    Ok(options.get("scope").cloned().unwrap_or_default())
}

fn is_limits(limits: &Value) -> bool {
    all(limits, |name, duration| {
        name == "duration" && all(duration, |name, it| name == "sourceFetch" && it.is_u64())
    })
}

fn is_filter(filter: &Value) -> bool {
    all(filter, |name, account| {
        name == "account" && all(account, |name, it| name == "id" && is_texts(it))
    })
}

fn is_scope(scope: &Value) -> bool {
    all(scope, |name, value| match name {
        "criteria" => is_array(value, is_criterion),
        _ => scope::is_part(name, value),
    })
}

fn is_criterion(criterion: &Value) -> bool {
    all(criterion, |name, value| match name {
        "from" => value.is_i64(),
        "last" => scope::is_last(value),
        "metadata" => all(value, |name, value| match name {
            "accounts" => is_array(value, is_account),
            "appId" | "contractId" | "mimeType" | "reference" | "tags" => is_texts(value),
            _ => false,
        }),
        _ => false,
    })
}

fn is_account(account: &Value) -> bool {
    account["accountId"].is_string()
        && all(account, |name, value| {
            ["accountId", "username"].contains(&name) && value.is_string()
        })
}

fn is_texts(value: &Value) -> bool {
    is_array(value, Value::is_string)
}

fn is_array(value: &Value, is_well_formed: impl Fn(&Value) -> bool) -> bool {
    value
        .as_array()
        .is_some_and(|parts| parts.iter().all(is_well_formed))
}

/// Whether a value is an object all of whose members are well formed.
fn all(value: &Value, is_well_formed: impl Fn(&str, &Value) -> bool) -> bool {
    value.as_object().is_some_and(|members| {
        let mut members = members.iter();
        members.all(|(name, value)| is_well_formed(name, value))
    })
}

pub(super) fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, Refusal> {
    let object = value.as_object();
    object.ok_or_else(|| Refusal::request(format!("{what} is not a JSON object")))
}

/// Refuses members that the protocol does not have.
pub(super) fn only(object: &Map<String, Value>, what: &str, known: &[&str]) -> Result<(), Refusal> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let known = known.join("`, `");
            let why = format!("{what} has `{name}`, expected only `{known}`");
            Err(Refusal::request(why))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_pull(pull: &Value) -> Value {
        json!({"agent": {"sdk": {"name": "a", "version": "1", "meta": {"node": "v20"}}}, "actions": {"pull": pull}})
    }

    #[test]
    fn every_option_of_the_protocol_is_known() {
        let scope = json!({
            "timeRanges": [{"from": 1, "to": 2, "last": "6m"}],
            "serviceGroups": [{"id": 1, "serviceTypes": [{"id": 2, "serviceObjectTypes": [{"id": 3}]}]}],
            "criteria": [{"from": 1, "last": "6m", "metadata": {
                "appId": ["a"], "accounts": [{"accountId": "a", "username": "u"}], "contractId": ["c"],
                "mimeType": ["text/plain"], "reference": ["r"], "tags": ["t"],
            }}],
        });
        let options = json!({
            "limits": {"duration": {"sourceFetch": 5}}, "scope": scope, "sourceFetch": false,
            "sourceFetchFilter": {"account": {"id": ["a"]}},
        });
        let found = agent_and_actions(&with_pull(&options));
        assert_eq!(found.expect("a good body"), scope);
        let mut body = options;
        body["agent"] = json!({"sdk": {"name": "a", "version": "1"}});
        agent_and_options(&body).expect("a good body");
    }

    #[test]
    fn what_the_protocol_does_not_have_is_refused() {
        for pull in [
            json!([]),
            json!({"accept": {}}),
            json!({"limits": {"duration": {"sourceFetch": "5"}}}),
            json!({"scope": {"criteria": [{"metadata": {"tag": []}}]}}),
            json!({"scope": {"criteria": [{"metadata": {"accounts": [{"username": "u"}]}}]}}),
            json!({"scope": {"serviceGroups": [{"id": 1}]}}),
            json!({"scope": {"others": []}}),
            json!({"sourceFetch": "true"}),
            json!({"sourceFetchFilter": {"account": {"id": [1]}}}),
        ] {
            assert!(agent_and_actions(&with_pull(&pull)).is_err(), "{pull}");
        }
        for body in [
            json!([]),
            json!({}),
            json!({"agent": {"sdk": {"name": "a"}}}),
            json!({"agent": {"sdk": {"name": "", "version": "1"}}}),
            json!({"agent": {"sdk": {"name": "a", "version": "1", "meta": 1}}}),
            json!({"agent": {"sdk": {"name": "a", "version": "1"}, "app": {}}}),
            json!({"agent": {"sdk": {"name": "a", "version": "1", "id": 1}}}),
            json!({"agent": {"sdk": {"name": "a", "version": "1"}}, "appId": "a"}),
            json!({"agent": {"sdk": {"name": "a", "version": "1"}}, "actions": {"push": {}}}),
        ] {
            assert!(agent_and_actions(&body).is_err(), "{body}");
        }
    }
}
