use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::contract::{APPLICATION_ID, Contract, Contracts};
use crate::fault::{Endpoint, Fault};
use crate::platform::{Lifetimes, Platform, Received};
use crate::server::{self, Shared};
use crate::user_client::{BadLink, Decision};

/// A running platform with a user and the user's client. It stops when it is dropped.
pub struct Sandbox {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    contracts: Contracts,
}

/// Sets up a [`Sandbox`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `start()` is called"]
pub struct Builder {
    lifetimes: Lifetimes,
}

impl Builder {
    /// How long sessions last. Default: 30 minutes.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetimes.session = lifetime;
        self
    }

    /// How long access tokens last, to the second. Default: one day.
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetimes.access_token = lifetime;
        self
    }

    /// Starts the sandbox on a free port of the loopback.
    ///
    /// # Errors
    /// An I/O error if no port is available.
    pub async fn start(self) -> io::Result<Sandbox> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base_url = format!("http://{}/v1.5", listener.local_addr()?);
        // Generating keys takes long.
        let platform = tokio::task::spawn_blocking(move || Platform::new(self.lifetimes)).await?;
        let contracts = platform.contracts.clone();
        let shared = Arc::new(Shared::new(base_url, platform));
        let server = tokio::spawn(server::serve(listener, shared.clone()));
        Ok(Sandbox {
            shared,
            server,
            contracts,
        })
    }
}

impl Sandbox {
    /// Starts a sandbox on a free port of the loopback.
    ///
    /// # Errors
    /// An I/O error if no port is available.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A sandbox with other settings.
    pub fn builder() -> Builder {
        let lifetimes = Lifetimes {
            session: Duration::from_secs(30 * 60),
            access_token: Duration::from_secs(24 * 60 * 60),
        };
        Builder { lifetimes }
    }

    /// The platform's base URL.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// The contracts of the one application that the sandbox knows.
    #[must_use]
    pub fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// Opens a link in the user's client. The user consents. Returns the URL that is called back.
    ///
    /// # Errors
    /// `BadLink` if the client can't open the link.
    pub async fn consent(&self, link: impl AsRef<str>) -> Result<Url, BadLink> {
        self.shared.consent(link.as_ref(), Decision::Approve).await
    }

    /// Opens a link in the user's client. The user declines. Returns the URL that is called back.
    ///
    /// # Errors
    /// `BadLink` if the client can't open the link.
    pub async fn decline(&self, link: impl AsRef<str>) -> Result<Url, BadLink> {
        self.shared.consent(link.as_ref(), Decision::Cancel).await
    }

    /// Opens a link in the user's client, which fails. Returns the URL that is called back.
    ///
    /// # Errors
    /// `BadLink` if the client can't open the link.
    pub async fn fail(&self, link: impl AsRef<str>) -> Result<Url, BadLink> {
        self.shared.consent(link.as_ref(), Decision::Error).await
    }

    /// The items that have arrived in the user's digi.me, decrypted, in the order of arrival.
    #[must_use]
    pub fn inbox(&self) -> Vec<Received> {
        self.shared.platform().inbox.clone()
    }

    /// The mistakes for which programs were refused, one line each.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.borrow().clone()
    }

    /// Waits until there are more violations than `known`, and returns the new ones.
    pub async fn next_violations(&self, known: usize) -> Vec<String> {
        let mut violations = self.shared.violations.subscribe();
        match violations
            .wait_for(|violations| violations.len() > known)
            .await
        {
            Ok(violations) => violations[known..].to_vec(),
            Err(_) => Vec::new(),
        }
    }

    /// How many times an access token was refreshed.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.shared.platform().refreshes
    }

    /// How many requests an endpoint has received.
    #[must_use]
    pub fn requests(&self, endpoint: Endpoint) -> u64 {
        self.shared.requests(endpoint)
    }

    /// How many sessions were established.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.platform().sessions.len()
    }

    /// Makes the platform, or the network in front of it, misbehave for the next request to an endpoint. Of several faults,
    /// each applies to one request, in the order of injection.
    pub fn inject(&self, endpoint: Endpoint, fault: Fault) {
        self.shared.inject(endpoint, fault);
    }

    /// The scope of each session, in the order in which they were established; `null` for a session without a scope.
    #[must_use]
    pub fn scopes(&self) -> Vec<Value> {
        self.shared.platform().scopes.clone()
    }

    /// Ends every session early.
    pub fn end_sessions(&self) {
        self.shared.platform().end_sessions();
    }

    /// Makes every access token expire early.
    pub fn expire_access_tokens(&self) {
        self.shared.platform().expire_access_tokens();
    }

    /// Makes the user withdraw consent.
    pub fn end_consent(&self) {
        self.shared.platform().end_consent();
    }

    /// Makes the platform sign with another key, under another `kid`.
    pub fn rotate_key(&self) {
        self.shared.signing_key.send_replace("rotated");
    }

    /// The addresses and contracts, as the program prints them.
    #[must_use]
    pub fn describe(&self) -> Value {
        let root = self.base_url().trim_end_matches("/v1.5");
        let contract = |contract: &Contract| {
            json!({
                "contract_id": contract.contract_id,
                "private_key": contract.private_key,
                "redirect_uri": contract.redirect_uri,
            })
        };
        json!({
            "base_url": self.base_url(),
            "consent_url": format!("{root}/sandbox/consent"),
            "inbox_url": format!("{root}/sandbox/inbox"),
            "application_id": APPLICATION_ID,
            "contracts": {"once": contract(&self.contracts.once), "ongoing": contract(&self.contracts.ongoing)},
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
