//! The verifier of an ongoing contract's waiting flow, and its absence for a one-off contract.

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::contract::{Once, Ongoing};
use crate::contract::RedirectUri;
use crate::error::Error;
use crate::pkce::CodeVerifier;
use crate::platform::Platform;
use crate::secret;

/// The code verifier of a flow: a secret that proves, when the code is exchanged, that the same flow asked for the code
/// (RFC 7636, section 4.1). It also holds the preauthorization code, by which the platform finds the challenge.
///
/// A flow makes it, keeps it in [`AwaitingCallback<Verifier>`](crate::AwaitingCallback) and sends it once. It can't be
/// printed. A library whose flow has a state of its own keeps it there, and in the record of that state, where it is secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Verifier(VerifierRecord);

/// The data of a verifier, for serde.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct VerifierRecord {
    code_verifier: CodeVerifier,
    #[serde(serialize_with = "secret::expose")]
    preauthorization_code: SecretString,
}

/// What a one-off contract's flow has in place of a [`Verifier`], since its callback brings no code to exchange.
#[derive(Debug)]
pub struct NoVerifier(());

/// [`Verifier`] or [`NoVerifier`]: how the two kinds of contracts authorize a flow before the user is asked, and what they
/// put into the link.
#[expect(unnameable_types, reason = "it seals a public trait")]
pub trait MaybeVerifier: Send + Sized + 'static {
    /// The name of the waiting state in a record.
    const STATE: &str;

    /// The kind of contract.
    type Kind;

    /// Its data while the flow is suspended.
    type Record: Serialize + DeserializeOwned + Send + Sync;

    /// Sends the authorization request, if the kind has one.
    fn authorize(
        platform: &Platform,
        state: &str,
    ) -> impl Future<Output = Result<Self, Error>> + Send;

    /// The URL that the user's client calls back.
    fn callback_url(redirect_uri: &RedirectUri, state: &str) -> String;

    fn preauthorization_code(&self) -> Option<&str>;

    fn record(&self) -> Self::Record;

    fn from_record(record: Self::Record) -> Self;
}

impl MaybeVerifier for NoVerifier {
    const STATE: &str = "AwaitingCallback<NoVerifier>";
    type Kind = Once;
    type Record = ();

    async fn authorize(_: &Platform, _: &str) -> Result<Self, Error> {
        Ok(Self(()))
    }

    /// The user's client returns only what is in the callback URL, so the URL contains the state.
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
    /// The verifier of a library's authorization request, and the preauthorization code of its answer.
    ///
    /// ```
    /// use digime::{Client, Verifier};
    ///
    /// fn verifier(client: &Client, preauthorization_code: String) -> Verifier {
    ///     Verifier::new(client.code_verifier(), preauthorization_code)
    /// }
    /// ```
    #[must_use]
    pub fn new(code_verifier: CodeVerifier, preauthorization_code: impl Into<String>) -> Self {
        Self(VerifierRecord {
            code_verifier,
            preauthorization_code: preauthorization_code.into().into(),
        })
    }

    /// The code verifier, for the exchange of the code.
    #[must_use]
    pub fn code_verifier(&self) -> &CodeVerifier {
        &self.0.code_verifier
    }
}

impl MaybeVerifier for Verifier {
    const STATE: &str = "AwaitingCallback<Verifier>";
    type Kind = Ongoing;
    type Record = VerifierRecord;

    async fn authorize(platform: &Platform, state: &str) -> Result<Self, Error> {
        let code_verifier = CodeVerifier::new(platform.client.random());
        let authorization = platform.authorize(&code_verifier, state).await?;
        Ok(Self(VerifierRecord {
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

    fn record(&self) -> VerifierRecord {
        self.0.clone()
    }

    fn from_record(record: VerifierRecord) -> Self {
        Self(record)
    }
}
