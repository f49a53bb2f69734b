//! The HTTP client of a client: ours, the application's, or none.

use std::sync::Arc;
use std::time::Duration;

use digime_rules::is_loopback;
use url::Url;

use super::ClientError;
use crate::platform::Connections;
use crate::platform::transport::{Network, SharedNetwork, Transport, follows_redirections};

/// What sends the requests.
#[derive(Clone)]
pub(super) enum NetworkSettings {
    /// An HTTP client with our settings.
    Ours,
    /// The same, and the application changes it.
    Changed(Arc<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>),
    /// The application's HTTP client.
    Shared(reqwest::Client),
    /// Anything else.
    Foreign(Arc<dyn Transport>),
}

impl NetworkSettings {
    /// What builds requests, and what sends them.
    pub(super) fn build(
        &self,
        base_url: &Url,
        connect_timeout: Duration,
        connections: &Connections,
    ) -> Result<(reqwest::Client, Arc<dyn Transport>), ClientError> {
        let tls = |error| ClientError::Tls(Arc::new(error));
        let http = match self {
            Self::Ours => {
                let http = bound(settings(base_url, connect_timeout), connections);
                http.build().map_err(tls)?
            }
            Self::Changed(change) => {
                let http = bound(change(settings(base_url, connect_timeout)), connections);
                // What may be sent again is decided for each request.
                let http = http.retry(reqwest::retry::never()).build();
                http.map_err(|error| ClientError::HttpSettings(Arc::new(error)))?
            }
            Self::Shared(http) if follows_redirections(http) => {
                return Err(ClientError::FollowsRedirections);
            }
            Self::Shared(http) => {
                return Ok((http.clone(), Arc::new(SharedNetwork(http.clone()))));
            }
            Self::Foreign(transport) => {
                // It connects to nothing, so it needs no root certificates.
                let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
                return Ok((http.build().map_err(tls)?, transport.clone()));
            }
        };
        Ok((http.clone(), Arc::new(Network(http))))
    }
}

/// Our settings of an HTTP client, which the application may change.
fn settings(base_url: &Url, connect_timeout: Duration) -> reqwest::ClientBuilder {
    let mut http = reqwest::Client::builder()
        .user_agent(concat!("digime-rust/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout);
    let is_plain = base_url.scheme() == "http";
    if is_plain || is_loopback(base_url) {
        // A proxy could read and change plain http.
        http = http.no_proxy();
    }
    if is_plain {
        // Plain http needs no TLS, so no root certificates on this machine either.
        http = http.tls_certs_only([]);
    }
    http
}

/// An HTTP client with the settings that nobody may change.
fn bound(http: reqwest::ClientBuilder, connections: &Connections) -> reqwest::ClientBuilder {
    http.connector_layer(connections.clone())
        // A redirected request would carry its token to a server that nobody checked.
        .redirect(reqwest::redirect::Policy::none())
}
