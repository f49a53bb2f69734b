//! What an application may say about a consent before it is asked for.

use digime::AccessToken;
use digime::scope::Scope;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

/// What JavaScript's `encodeURIComponent` escapes.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// How consent is asked for: [`authorize_with`](crate::ImportFlow::authorize_with). Everything is optional.
///
/// ```
/// use digime_import::ConsentOptions;
///
/// let options = ConsentOptions::new().locale("nl").service(420);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until they are given to `authorize_with`"]
pub struct ConsentOptions {
    pub(crate) library_of: Option<AccessToken>,
    pub(crate) storage: Option<String>,
    pub(crate) pull: Option<PullOptions>,
    to_provider: bool,
    service: Option<u64>,
    sample_data: Option<SampleData>,
    locale: Option<String>,
    sample_only_sources: Option<bool>,
    trigger_query: Option<bool>,
    sources: Option<SourcesScope>,
}

#[derive(Clone, Debug)]
struct SampleData {
    set: String,
    skips_pages: bool,
}

impl ConsentOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The language of the pages, such as `nl`. If digi.me does not have it, it takes the browser's, and then English.
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.locale = Some(locale.into());
        self
    }

    /// Connects the library of a person who is known from another contract of the application: by the access token there. Without
    /// it, a new library is made.
    pub fn library_of(mut self, token: AccessToken) -> Self {
        self.library_of = Some(token);
        self
    }

    /// Chooses the service whose account the person adds, by its id. Otherwise the person chooses.
    pub fn service(mut self, id: u64) -> Self {
        self.service = Some(id);
        self
    }

    /// Asks for consent to push to a provider, [`push_to_provider`](crate::ImportFlow::push_to_provider). The page then shows only
    /// the sources that take pushes (MedMij only).
    pub fn to_provider(mut self) -> Self {
        self.to_provider = true;
        self
    }

    /// Adds sample data in place of a live source, by the key of a sample data set.
    pub fn sample_data(self, set: impl Into<String>) -> Self {
        self.with_sample_data(set.into(), false)
    }

    /// Adds sample data, and skips every page, the question for consent too. The browser is called back at once. For tests.
    pub fn sample_data_without_pages(self, set: impl Into<String>) -> Self {
        self.with_sample_data(set.into(), true)
    }

    fn with_sample_data(mut self, set: String, skips_pages: bool) -> Self {
        self.sample_data = Some(SampleData { set, skips_pages });
        self
    }

    /// Whether the page offers sources that have only sample data. Default: no.
    pub fn include_sample_data_only_sources(mut self, include: bool) -> Self {
        self.sample_only_sources = Some(include);
        self
    }

    /// Ties a storage to the person, by its id.
    pub fn storage(mut self, id: impl Into<String>) -> Self {
        self.storage = Some(id.into());
        self
    }

    /// Whether data is queried right after the source was added. Default: yes.
    pub fn trigger_query(mut self, trigger: bool) -> Self {
        self.trigger_query = Some(trigger);
        self
    }

    /// Limits the sources that the page shows.
    pub fn sources(mut self, scope: SourcesScope) -> Self {
        self.sources = Some(scope);
        self
    }

    /// What is read under the session that comes with the authorization. An application that only pushes needs none.
    pub fn pull(mut self, options: PullOptions) -> Self {
        self.pull = Some(options);
        self
    }

    /// The query of the page, in the order of the protocol.
    pub(crate) fn query(
        &self,
        code: &str,
        storage_reference: Option<String>,
    ) -> Vec<(&'static str, String)> {
        let source_type = if self.to_provider { "push" } else { "pull" };
        let sample_data = self.sample_data.as_ref();
        // `false` is never sent.
        let skips_pages = sample_data.is_some_and(|data| data.skips_pages);
        let parameters = [
            ("code", Some(code.to_owned())),
            ("sourceType", Some(source_type.to_owned())),
            ("service", self.service.map(|id| id.to_string())),
            ("sampleDataSet", sample_data.map(|data| data.set.clone())),
            (
                "sampleDataAutoOnboard",
                skips_pages.then(|| "true".to_owned()),
            ),
            ("lng", self.locale.clone()),
            (
                "includeSampleDataOnlySources",
                self.sample_only_sources.map(|it| it.to_string()),
            ),
            ("storageRef", storage_reference),
            ("triggerQuery", self.trigger_query.map(|it| it.to_string())),
            (
                "sourcesScope",
                self.sources.as_ref().map(SourcesScope::escaped),
            ),
        ];
        present(parameters)
    }
}

/// How the renewal of a consent is asked for: [`reauthorize_with`](crate::ImportFlow::reauthorize_with).
///
/// ```
/// use digime_import::RenewalOptions;
///
/// let options = RenewalOptions::new().locale("nl");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until they are given to `reauthorize_with`"]
pub struct RenewalOptions {
    pub(crate) pull: Option<PullOptions>,
    locale: Option<String>,
    trigger_query: Option<bool>,
}

impl RenewalOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The language of the page, as [`ConsentOptions::locale`].
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.locale = Some(locale.into());
        self
    }

    /// Whether data is queried afterwards. Default: yes.
    pub fn trigger_query(mut self, trigger: bool) -> Self {
        self.trigger_query = Some(trigger);
        self
    }

    /// What is read under the session that comes with the renewal.
    pub fn pull(mut self, options: PullOptions) -> Self {
        self.pull = Some(options);
        self
    }

    pub(crate) fn query(&self, code: &str) -> Vec<(&'static str, String)> {
        present([
            ("code", Some(code.to_owned())),
            ("lng", self.locale.clone()),
            ("triggerQuery", self.trigger_query.map(|it| it.to_string())),
        ])
    }
}

fn present<const N: usize>(
    parameters: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    parameters
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Which sources a page shows, in the words of MedMij: [`ConsentOptions::sources`].
///
/// ```
/// use digime_import::SourcesScope;
///
/// let scope = SourcesScope::new().data_type("gp-data").organization_type("hospital");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a scope does nothing until it is given to `sources`"]
pub struct SourcesScope {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data_type: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_type: Option<String>,
}

impl SourcesScope {
    /// All sources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a type of data that sources must have.
    pub fn data_type(mut self, data_type: impl Into<String>) -> Self {
        self.data_type.push(data_type.into());
        self
    }

    /// The type of organizations whose sources are shown.
    pub fn organization_type(mut self, organization_type: impl Into<String>) -> Self {
        self.organization_type = Some(organization_type.into());
        self
    }

    /// As JSON that is percent-encoded. The query encodes it once more, as the protocol has it.
    fn escaped(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        utf8_percent_encode(&json, ESCAPED).to_string()
    }
}

/// What is read under the session that comes with an authorization. The session is in
/// [`Connected::session`](crate::Connected::session).
///
/// ```
/// use digime::scope::{Scope, TimeRange, Unit};
/// use digime_import::PullOptions;
///
/// let options = PullOptions::new()
///     .scope(Scope::new().time_range(TimeRange::last(6, Unit::Months)))
///     .existing_data_only();
/// ```
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "options do nothing until they are given to `pull`"]
pub struct PullOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_fetch: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_fetch_filter: Option<Value>,
}

impl PullOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The longest time that fetching from the sources may take, as the platform counts it. The protocol does not say the unit.
    pub fn longest_source_fetch(mut self, duration: u64) -> Self {
        self.limits = Some(serde_json::json!({"duration": {"sourceFetch": duration}}));
        self
    }

    /// What is read: time ranges and groups of services.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Reads what the library has, and fetches nothing from the sources.
    pub fn existing_data_only(mut self) -> Self {
        self.source_fetch = Some(false);
        self
    }

    /// Fetches from these accounts only, by their ids.
    pub fn accounts<I: Into<String>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        let ids: Vec<String> = ids.into_iter().map(Into::into).collect();
        self.source_fetch_filter = Some(serde_json::json!({"account": {"id": ids}}));
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(query: &[(&'static str, String)]) -> Vec<&'static str> {
        query.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn the_query_has_what_was_set_in_the_order_of_the_protocol() {
        let least = ConsentOptions::new().query("c", None);
        assert_eq!(
            least,
            [("code", "c".to_owned()), ("sourceType", "pull".to_owned())]
        );
        let most = ConsentOptions::new()
            .sources(SourcesScope::new().data_type("gp-data"))
            .trigger_query(false)
            .include_sample_data_only_sources(true)
            .locale("nl")
            .sample_data_without_pages("set")
            .service(420)
            .to_provider()
            .query("c", Some("ref".into()));
        assert_eq!(
            names(&most),
            [
                "code",
                "sourceType",
                "service",
                "sampleDataSet",
                "sampleDataAutoOnboard",
                "lng",
                "includeSampleDataOnlySources",
                "storageRef",
                "triggerQuery",
                "sourcesScope"
            ]
        );
        assert_eq!(most[1].1, "push");
        assert_eq!(most[9].1, "%7B%22dataType%22%3A%5B%22gp-data%22%5D%7D");
    }

    #[test]
    fn what_is_read_is_written_as_the_protocol_has_it() {
        let options = PullOptions::new()
            .longest_source_fetch(30)
            .existing_data_only()
            .accounts(["a"]);
        assert_eq!(
            serde_json::to_value(options).expect("JSON"),
            json!({
                "limits": {"duration": {"sourceFetch": 30}},
                "sourceFetch": false,
                "sourceFetchFilter": {"account": {"id": ["a"]}},
            })
        );
        assert_eq!(
            serde_json::to_value(PullOptions::new()).expect("JSON"),
            json!({})
        );
    }
}
