use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use url::Url;

use crate::bad_link::BadLink;
use crate::builder::Builder;
use crate::contract::{Contract, Contracts};
use crate::fault::{Endpoint, Fault};
use crate::platform::Received;
use crate::reply::{Decision, Reply};
use crate::server::Shared;
use crate::start_error::StartError;

/// A running platform with a user and the user's client. It stops when it is dropped.
pub struct Sandbox {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    contracts: Contracts,
}

impl Sandbox {
    pub(crate) fn new(shared: Arc<Shared>, server: JoinHandle<()>, contracts: Contracts) -> Self {
        Self {
            shared,
            server,
            contracts,
        }
    }

    /// Starts a sandbox on a free port of the loopback.
    ///
    /// # Errors
    /// [`StartError`] if no port is available.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// A sandbox with other settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The base URL of the platform's API 1.5.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// The base URL of the platform's API 1.7.
    #[must_use]
    pub fn import_base_url(&self) -> &str {
        &self.shared.import_base_url
    }

    /// The address of the onboarding app of API 1.7, with a slash at its end.
    #[must_use]
    pub fn onboarding_url(&self) -> &str {
        &self.shared.onboarding_url
    }

    /// The page that plays the user's client. With `?link=` and a percent-encoded `digime://` link, it opens the link.
    #[must_use]
    pub fn phone_url(&self) -> String {
        self.url("phone")
    }

    /// The page that shows what arrived in the user's digi.me.
    #[must_use]
    pub fn inbox_page_url(&self) -> String {
        self.url("inbox")
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.shared.origin)
    }

    /// The contracts: those of the builder, and the three that every sandbox has.
    #[must_use]
    pub fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// The contract with this id.
    #[must_use]
    pub fn contract(&self, contract_id: &str) -> Option<&Contract> {
        self.contracts.by_contract_id(contract_id)
    }

    /// Opens a link: `digime://` in the user's client, or the onboarding app of API 1.7 in a browser. The user consents.
    /// Returns the URL that is called back.
    ///
    /// # Errors
    /// `BadLink` if the client can't open the link.
    pub async fn consent(&self, link: impl AsRef<str>) -> Result<Url, BadLink> {
        self.answer(link, Decision::Approve).await
    }

    /// Opens a link to the onboarding app of API 1.7. The person with this id consents, and not the one who is asked: another
    /// one may sit at the browser. The id is the `sub` of the tokens. Returns the URL that is called back.
    ///
    /// # Errors
    /// `BadLink` if the link can't be opened.
    pub async fn consent_as(
        &self,
        link: impl AsRef<str>,
        user_id: impl Into<String>,
    ) -> Result<Url, BadLink> {
        let reply = Reply::new(Decision::Approve).by(user_id);
        self.answer(link, reply).await
    }

    /// Opens a link and answers it. Returns the URL that is called back.
    ///
    /// # Errors
    /// `BadLink` if the link can't be opened.
    pub async fn answer(
        &self,
        link: impl AsRef<str>,
        reply: impl Into<Reply>,
    ) -> Result<Url, BadLink> {
        self.shared.answer(link.as_ref(), &reply.into()).await
    }

    /// Opens a link. The user declines. Returns the URL that is called back.
    ///
    /// # Errors
    /// `BadLink` if the client can't open the link.
    pub async fn decline(&self, link: impl AsRef<str>) -> Result<Url, BadLink> {
        self.answer(link, Decision::Cancel).await
    }

    /// Opens a link in the user's client or in the onboarding app, which fails. Returns the URL that is called back.
    ///
    /// # Errors
    /// `BadLink` if the client can't open the link.
    pub async fn fail(&self, link: impl AsRef<str>) -> Result<Url, BadLink> {
        self.answer(link, Decision::Error).await
    }

    /// The items that have arrived in the user's digi.me, decrypted, in the order of arrival. The latest 50,000 are kept.
    #[must_use]
    pub fn inbox(&self) -> Vec<Received> {
        self.shared.platform().inbox.items().cloned().collect()
    }

    /// The bytes of an item. `None` if it was larger than 1 MiB, or if later items with 64 MiB in sum have arrived.
    #[must_use]
    pub fn content(&self, item: &Received) -> Option<Bytes> {
        self.shared.platform().inbox.content(item.id).cloned()
    }

    /// The mistakes for which programs were refused, one line each. The latest 1,000 are kept.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.borrow().since(0).cloned().collect()
    }

    /// Waits until there were more violations than `known`. Returns how many there were, and those of the new ones that are
    /// kept.
    pub async fn next_violations(&self, known: usize) -> (usize, Vec<String>) {
        let mut violations = self.shared.violations.subscribe();
        match violations.wait_for(|it| it.count() > known).await {
            Ok(it) => (it.count(), it.since(known).cloned().collect()),
            Err(_) => (known, Vec::new()),
        }
    }

    /// How many times an access token was refreshed.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.shared.platform().grants.refreshes()
    }

    /// How many requests an endpoint has received.
    #[must_use]
    pub fn requests(&self, endpoint: Endpoint) -> u64 {
        self.shared.requests(endpoint)
    }

    /// How many sessions were established.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.platform().sessions_established()
    }

    /// Makes the platform, or the network in front of it, misbehave for the next request to an endpoint. Of several faults,
    /// each applies to one request, in the order of injection.
    pub fn inject(&self, endpoint: Endpoint, fault: Fault) {
        self.shared.inject(endpoint, fault);
    }

    /// The scope of each session, in the order in which they were established; `null` for a session without a scope. Those of
    /// sessions that ended more than a day ago are not kept.
    #[must_use]
    pub fn scopes(&self) -> Vec<Value> {
        self.shared.platform().scopes()
    }

    /// Moves the sandbox's clock ahead, at most by a thousand years in sum. Sessions, links, tokens and consents end by this
    /// clock, and the platform's answers have its `Date`. The timestamps of requests are still compared with the machine's.
    pub fn advance(&self, by: Duration) {
        self.shared.platform().advance(by);
    }

    /// Ends every session early, and every link to the onboarding app.
    pub fn end_sessions(&self) {
        self.shared.platform().end_sessions();
    }

    /// Makes every access token expire early.
    pub fn expire_access_tokens(&self) {
        self.shared.platform().grants.expire_access_tokens();
    }

    /// Makes every user withdraw every consent.
    pub fn end_consent(&self) {
        self.shared.platform().grants.end_consents(|_| true);
    }

    /// Makes every user withdraw the consents under this contract.
    pub fn end_consent_of(&self, contract_id: &str) {
        let mut platform = self.shared.platform();
        platform
            .grants
            .end_consents(|grant| grant.contract_id == contract_id);
    }

    /// Makes the platform sign with another key, under another `kid`.
    pub fn rotate_key(&self) {
        self.shared.signing_key.send_replace("rotated");
    }

    /// The addresses and contracts, as the program prints them.
    #[must_use]
    pub fn describe(&self) -> Value {
        let by_id = self
            .contracts
            .iter()
            .map(|contract| (contract.contract_id.clone(), json!(contract)));
        let mut contracts: serde_json::Map<_, _> = by_id.collect();
        contracts.insert("once".into(), json!(self.contracts.once));
        contracts.insert("ongoing".into(), json!(self.contracts.ongoing));
        contracts.insert("import".into(), json!(self.contracts.import));
        json!({
            "base_url": self.base_url(),
            "import_base_url": self.import_base_url(),
            "onboarding_url": self.onboarding_url(),
            "phone_url": self.phone_url(),
            "inbox_page_url": self.inbox_page_url(),
            "consent_url": self.url("sandbox/consent"),
            "inbox_url": self.url("sandbox/inbox"),
            "faults_url": self.url("sandbox/faults"),
            "clock_url": self.url("sandbox/clock"),
            "application_id": self.contracts.once.application_id,
            "contracts": contracts,
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("base_url", &self.base_url())
            .finish_non_exhaustive()
    }
}
