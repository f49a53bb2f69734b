//! What tells the two kinds of waiting flows apart.

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::contract::{Once, Ongoing};
use crate::contract::RedirectUri;
use crate::error::Error;
use crate::pkce::CodeVerifier;
use crate::platform::Platform;
use crate::secret;

/// The code verifier of a flow: the secret that proves, when the code is exchanged, that it is the same flow that asked
/// for it (RFC 7636, section 4.1), and the code by which the platform knows its challenge.
///
/// A flow makes it, carries it in [`AwaitingCallback<Verifier>`](crate::AwaitingCallback) and sends it once. Nobody else
/// can make one, and it can't be read or printed.
#[derive(Debug)]
pub struct Verifier(Announced);

/// What a verifier holds, as serde data. [`Verifier`] itself is none, so that nobody makes one up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Announced {
    code_verifier: CodeVerifier,
    #[serde(serialize_with = "secret::expose")]
    preauthorization_code: SecretString,
}

/// What a one-off contract's flow has in place of a [`Verifier`]: its callback brings no code to exchange.
#[derive(Debug)]
pub struct NoVerifier(());

/// How a flow is made known before the user is asked, and what of that goes into the link.
pub trait Announce: Send + Sized + 'static {
    /// What the state with it is called in a record.
    const STATE: &str;

    /// The kind of the contracts whose flows have it.
    type Kind;

    /// What is kept of it while the flow is suspended.
    type Record: Serialize + DeserializeOwned + Send + Sync;

    fn announce(
        platform: &Platform,
        state: &str,
    ) -> impl Future<Output = Result<Self, Error>> + Send;

    /// What the user's client is to call back.
    fn callback_url(redirect_uri: &RedirectUri, state: &str) -> String;

    fn preauthorization_code(&self) -> Option<&str>;

    fn record(&self) -> Self::Record;

    fn from_record(record: Self::Record) -> Self;
}

impl Announce for NoVerifier {
    const STATE: &str = "AwaitingCallback<NoVerifier>";
    type Kind = Once;
    type Record = ();

    async fn announce(_: &Platform, _: &str) -> Result<Self, Error> {
        Ok(Self(()))
    }

    /// Nothing but the callback URL comes back, so the state stands in it.
    fn callback_url(redirect_uri: &RedirectUri, state: &str) -> String {
        redirect_uri.with_parameter("state", state)
    }

    fn preauthorization_code(&self) -> Option<&str> {
        None
    }

    fn record(&self) {}

    fn from_record((): ()) -> Self {
        Self(())
    }
}

impl Verifier {
    pub(super) fn code_verifier(&self) -> &CodeVerifier {
        &self.0.code_verifier
    }
}

impl Announce for Verifier {
    const STATE: &str = "AwaitingCallback<Verifier>";
    type Kind = Ongoing;
    type Record = Announced;

    async fn announce(platform: &Platform, state: &str) -> Result<Self, Error> {
        let code_verifier = CodeVerifier::new();
        let authorization = platform.authorize(&code_verifier, state).await?;
        Ok(Self(Announced {
            code_verifier,
            preauthorization_code: authorization.preauthorization_code,
        }))
    }

    fn callback_url(redirect_uri: &RedirectUri, _: &str) -> String {
        redirect_uri.as_str().to_owned()
    }

    fn preauthorization_code(&self) -> Option<&str> {
        Some(self.0.preauthorization_code.expose_secret())
    }

    fn record(&self) -> Announced {
        self.0.clone()
    }

    fn from_record(record: Announced) -> Self {
        Self(record)
    }
}
