//! The query of a link to the onboarding app.

use std::collections::BTreeMap;

use serde_json::Value;
use url::form_urlencoded;

use super::Page;
use crate::bad_link::BadLink;

/// The parameters of a link, which are those of its page and well formed.
pub(super) struct Parameters(BTreeMap<String, String>);

/// What pages that add an account may have.
const OF_SOURCE: [&str; 7] = [
    "includeSampleDataOnlySources",
    "lng",
    "sampleDataAutoOnboard",
    "sampleDataSet",
    "service",
    "sourcesScope",
    "triggerQuery",
];

impl Page {
    /// The parameters that a link has to have.
    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Authorize | Self::Onboard => &["code", "sourceType"],
            Self::UserReauth => &["code"],
            Self::Reauthorize => &["code", "accountRef"],
        }
    }

    fn allows(self, name: &str) -> bool {
        match self {
            Self::Authorize => OF_SOURCE.contains(&name) || name == "storageRef",
            Self::Onboard => OF_SOURCE.contains(&name),
            Self::UserReauth => ["lng", "triggerQuery"].contains(&name),
            Self::Reauthorize => name == "lng",
        }
    }
}

impl Parameters {
    pub(super) fn read(page: Page, query: &str) -> Result<Self, BadLink> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            if !page.required().contains(&&*name) && !page.allows(&name) {
                let why = format!("`{}` has no parameter `{name}`", page.name());
                return Err(BadLink::new(why));
            }
            check(&name, &value)?;
            if parameters.insert(name.clone(), value).is_some() {
                return Err(BadLink::new(format!("its `{name}` is repeated")));
            }
        }
        let is_missing = |name: &&&str| !parameters.contains_key(**name);
        if let Some(name) = page.required().iter().find(is_missing) {
            return Err(BadLink::new(format!("it has no `{name}`")));
        }
        let parameters = Self(parameters);
        if parameters.has("sampleDataAutoOnboard") && !parameters.has("sampleDataSet") {
            return Err(BadLink::new(
                "its `sampleDataAutoOnboard` needs a `sampleDataSet`",
            ));
        }
        Ok(parameters)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The preauthorization code or reference code.
    pub(super) fn code(&self) -> &str {
        self.get("code").unwrap_or_default()
    }
}

fn check(name: &str, value: &str) -> Result<(), BadLink> {
    let expected = match name {
        _ if value.is_empty() => "a value",
        "sourceType" if !["pull", "push"].contains(&value) => "`pull` or `push`",
        "service" if !value.bytes().all(|it| it.is_ascii_digit()) => "a number",
        "sampleDataAutoOnboard" if value != "true" => "`true`, or to be left out",
        "includeSampleDataOnlySources" | "triggerQuery" if !["true", "false"].contains(&value) => {
            "`true` or `false`"
        }
        "sourcesScope" if !is_sources_scope(value) => {
            "percent-encoded JSON with `dataType` and `organizationType`, encoded once more as every parameter"
        }
        _ => return Ok(()),
    };
    Err(BadLink::new(format!(
        "its `{name}` is `{value}`, expected {expected}"
    )))
}

/// Whether a value is percent-encoded JSON in the protocol's form.
fn is_sources_scope(value: &str) -> bool {
    let is_encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()%".contains(&byte);
    if !value.bytes().all(is_encoded) {
        return false;
    }
    let mut decoded = form_urlencoded::parse(value.as_bytes());
    let scope = decoded.next().map(|(json, _)| json.into_owned());
    let scope: Option<Value> = scope.and_then(|json| serde_json::from_str(&json).ok());
    let members = scope.as_ref().and_then(Value::as_object);
    members.is_some_and(|members| {
        let mut members = members.iter();
        members.all(|(name, value)| match name.as_str() {
            "dataType" => value
                .as_array()
                .is_some_and(|types| types.iter().all(Value::is_string)),
            "organizationType" => value.is_string(),
            _ => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_the_protocol_is_known() {
        let scope = "sourcesScope=%257B%2522dataType%2522%253A%255B%2522gp-data%2522%255D%252C%2522organizationType%2522%253A%2522hospital%2522%257D";
        let source = format!(
            "code=a&sourceType=push&service=7&sampleDataSet=s&sampleDataAutoOnboard=true&lng=nl&includeSampleDataOnlySources=true&triggerQuery=false&{scope}"
        );
        for (page, query) in [
            (Page::Authorize, format!("{source}&storageRef=r")),
            (Page::Onboard, source),
            (Page::UserReauth, "triggerQuery=true&lng=nl&code=a".into()),
            (Page::Reauthorize, "accountRef=r&code=a&lng=nl".into()),
        ] {
            Parameters::read(page, &query).unwrap_or_else(|error| panic!("{page:?}: {error}"));
        }
    }

    #[test]
    fn what_a_page_does_not_have_is_refused() {
        for (page, query, why) in [
            (Page::Authorize, "sourceType=pull", "no `code`"),
            (Page::Authorize, "code=a", "no `sourceType`"),
            (Page::Authorize, "code=&sourceType=pull", "expected a value"),
            (Page::Authorize, "code=a&code=a&sourceType=pull", "repeated"),
            (Page::Authorize, "code=a&sourceType=both", "`pull` or"),
            (
                Page::Authorize,
                "code=a&sourceType=pull&x=1",
                "no parameter `x`",
            ),
            (
                Page::Authorize,
                "code=a&sourceType=pull&service=x",
                "a number",
            ),
            (
                Page::Authorize,
                "code=a&sourceType=pull&sampleDataAutoOnboard=true",
                "needs a `sampleDataSet`",
            ),
            (
                Page::Authorize,
                "code=a&sourceType=pull&sampleDataSet=s&sampleDataAutoOnboard=false",
                "to be left out",
            ),
            (
                Page::Authorize,
                "code=a&sourceType=pull&triggerQuery=1",
                "`true` or",
            ),
            (
                Page::Authorize,
                "code=a&sourceType=pull&sourcesScope=%7B%22dataType%22%3A%5B%5D%7D",
                "encoded once more",
            ),
            (
                Page::Authorize,
                "code=a&sourceType=pull&sourcesScope=%257B%2522other%2522%253A1%257D",
                "percent-encoded JSON",
            ),
            (
                Page::Onboard,
                "code=a&sourceType=pull&storageRef=r",
                "no parameter",
            ),
            (Page::UserReauth, "code=a&sourceType=pull", "no parameter"),
            (Page::Reauthorize, "code=a", "no `accountRef`"),
        ] {
            let error = Parameters::read(page, query).map(|_| ());
            let error = error.expect_err(query).to_string();
            assert!(error.contains(why), "{query}: {error}");
        }
    }
}
