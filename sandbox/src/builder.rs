use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use url::{Origin, Url};

use crate::new_contract::{self, NewContract};
use crate::platform::{Lifetimes, Platform};
use crate::sandbox::Sandbox;
use crate::server::{self, Shared};
use crate::start_error::StartError;

/// Sets up a [`Sandbox`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `start()` is called"]
pub struct Builder {
    address: SocketAddr,
    public_url: Option<String>,
    contracts: Vec<NewContract>,
    lifetimes: Lifetimes,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            public_url: None,
            contracts: Vec::new(),
            lifetimes: Lifetimes::default(),
        }
    }

    /// Where to listen. Port 0 is any free port. Default: a free port of the loopback.
    ///
    /// Whoever can reach another address than the loopback can read everything that the sandbox received.
    pub fn bind(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// How clients name the sandbox, such as `http://sandbox:8700`, if that differs from the address. The base URL begins
    /// with it, and so do the address of the platform's keys and the addresses of the pages.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// Registers a contract. Call it again for each further one.
    pub fn contract(mut self, contract: NewContract) -> Self {
        self.contracts.push(contract);
        self
    }

    /// How long sessions last, and the links to the onboarding app of API 1.7. Default: 30 minutes.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetimes.session = lifetime;
        self
    }

    /// How long access tokens last, to the second, and at most as long as their consent. Default: one day.
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetimes.access_token = lifetime;
        self
    }

    /// How long consents last, and with them refresh tokens. Default: 30 days.
    pub fn consent_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetimes.consent = lifetime;
        self
    }

    /// Starts the sandbox.
    ///
    /// # Errors
    /// [`StartError`] if it can't listen on the address, or if the public URL or a contract is not usable.
    pub async fn start(self) -> Result<Sandbox, StartError> {
        let public_url = self.public_url.as_deref().map(origin).transpose()?;
        // Making keys takes long.
        let register = move || new_contract::register(self.contracts);
        let contracts = tokio::task::spawn_blocking(register)
            .await
            .map_err(std::io::Error::from)??;
        let listen = |source| StartError::Listen {
            address: self.address,
            source,
        };
        let listener = TcpListener::bind(self.address).await.map_err(listen)?;
        let origin = match public_url {
            Some(origin) => origin,
            None => format!("http://{}", reachable(listener.local_addr()?)),
        };
        let platform = Platform::new(contracts.clone(), self.lifetimes);
        let shared = Arc::new(Shared::new(origin, platform));
        let server = tokio::spawn(server::serve(listener, shared.clone()));
        Ok(Sandbox::new(shared, server, contracts))
    }
}

/// The address by which this machine can reach a listener. One that listens everywhere can't be reached by its own address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The origin that a URL consists of.
fn origin(url: &str) -> Result<String, StartError> {
    let bad = || StartError::PublicUrl(url.to_owned());
    let parsed = Url::parse(url).map_err(|_| bad())?;
    let is_bare = parsed.path() == "/"
        && parsed.query().is_none()
        && parsed.fragment().is_none()
        && parsed.username().is_empty()
        && parsed.password().is_none();
    match parsed.origin() {
        origin @ Origin::Tuple(..) if is_bare && parsed.scheme().starts_with("http") => {
            Ok(origin.ascii_serialization())
        }
        _ => Err(bad()),
    }
}
