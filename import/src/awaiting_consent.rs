use std::fmt;
use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use digime::error::{CallbackError, SuspendedError};
use digime::extend::ExtensionState;
use digime::request::CodeVerifier;
use digime::suspended::{Durable, Parkable, Resuming};
use digime::tokens::{AwaitsCode, ReceivedConsent, Tokens};
use digime::{Callback, Error, Verifier};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Connected, Import, ImportError, ReadingSession};

/// How long a flow waits for its person. digi.me does not say how long its own codes live.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The parameter of a callback that says which account the person has added.
const ACCOUNT: &str = "accountReference";

/// The state of a flow that waits until the person has consented on digi.me's page. `V` is the [`Verifier`].
///
/// What comes next, in order:
///
/// 1. Redirect the person's browser to [`url`](crate::ImportFlow::url).
/// 2. If the callback comes in another HTTP request, keep the flow until then: suspend it and park it with
///    [`ParkedFlows`](digime::store::ParkedFlows).
/// 3. Take the [`Callback`]: [`exchange_code`](crate::ImportFlow::exchange_code) leads to [`Connected`]. In a web application,
///    [`SharedTokens::receive_callback`](digime::store::SharedTokens::receive_callback) does this and keeps the tokens.
#[must_use = "the next step is to send the person to `awaiting.url()` and to take the callback"]
pub struct AwaitingConsent<V> {
    page: Url,
    state: String,
    session: ReadingSession,
    verifier: V,
    /// The platform's id of the person whose consent is renewed. `None` if it is a first consent, or the id is not known.
    person: Option<String>,
    renews: Option<ReceivedConsent>,
    /// When the flow ends.
    ends: SystemTime,
}

impl AwaitingConsent<Verifier> {
    pub(crate) fn new(
        page: Url,
        state: String,
        session: ReadingSession,
        verifier: Verifier,
        now: SystemTime,
    ) -> Self {
        Self {
            page,
            state,
            session,
            verifier,
            person: None,
            renews: None,
            ends: now + LONGEST_WAIT,
        }
    }

    /// Waits for the person of a connection and no other, to renew the consent.
    pub(crate) fn renewing(mut self, connection: &Connected) -> Self {
        self.person = connection.person_id();
        self.renews = Some(ReceivedConsent::of::<Connected>(&connection.record()));
        self
    }
}

impl<V> AwaitingConsent<V> {
    pub(crate) fn url(&self) -> &Url {
        &self.page
    }

    pub(crate) fn state(&self) -> &str {
        &self.state
    }

    /// The session that came with the authorization.
    #[must_use]
    pub fn session(&self) -> &ReadingSession {
        &self.session
    }

    fn is_state(&self, state: &str) -> bool {
        verify_slices_are_equal(state.as_bytes(), self.state.as_bytes()).is_ok()
    }
}

impl<V> ExtensionState for AwaitingConsent<V> {}

/// What is kept of the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(unnameable_types, reason = "it appears only in traits")]
pub struct AwaitingRecord {
    page: Url,
    state: String,
    session: ReadingSession,
    verifier: Verifier,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renews: Option<ReceivedConsent>,
    ends: SystemTime,
}

impl Durable for AwaitingConsent<Verifier> {
    const NAME: &str = "digime_import::AwaitingConsent";
    type Kind = Import;
    type Record = AwaitingRecord;

    fn record(&self) -> AwaitingRecord {
        AwaitingRecord {
            page: self.page.clone(),
            state: self.state.clone(),
            session: self.session.clone(),
            verifier: self.verifier.clone(),
            person: self.person.clone(),
            renews: self.renews.clone(),
            ends: self.ends,
        }
    }

    fn from_record(record: AwaitingRecord, _: &Resuming<'_>) -> Result<Self, SuspendedError> {
        Ok(Self {
            page: record.page,
            state: record.state,
            session: record.session,
            verifier: record.verifier,
            person: record.person,
            renews: record.renews,
            ends: record.ends,
        })
    }

    fn expires_at(record: &AwaitingRecord) -> Option<SystemTime> {
        Some(record.ends)
    }
}

impl Parkable for AwaitingConsent<Verifier> {
    const IS_CALLED_BACK: bool = true;

    fn parking_key(record: &AwaitingRecord) -> &str {
        &record.state
    }
}

impl AwaitsCode for AwaitingConsent<Verifier> {
    type Granted = Connected;

    fn code_verifier(&self) -> &CodeVerifier {
        self.verifier.code_verifier()
    }

    fn check(&self, callback: &Callback) -> Result<(), CallbackError> {
        let state = callback.state();
        if state.is_some_and(|state| !self.is_state(state)) {
            return Err(CallbackError::AnotherFlow);
        }
        match callback.parameter("success")? {
            Some("true") => {}
            Some("false") => {
                let code = callback.parameter("errorCode")?.unwrap_or("no code");
                return Err(CallbackError::NotConsented { code: code.into() });
            }
            Some(_) => return Err(CallbackError::Unknown("success")),
            None => return Err(CallbackError::Missing("success")),
        }
        // It is read after the code is spent, when it is too late to find it wrong.
        callback.parameter(ACCOUNT)?;
        state.map(drop).ok_or(CallbackError::Missing("state"))
    }

    fn renews(&self) -> Option<ReceivedConsent> {
        self.renews.clone()
    }

    fn granted(&self, callback: &Callback, tokens: Tokens) -> Result<Connected, Error> {
        if let (Some(wanted), Some(found)) = (&self.person, tokens.user_id())
            && wanted != found
        {
            return Err(ImportError::AnotherPerson.into());
        }
        let account = callback.parameter(ACCOUNT)?;
        Ok(Connected::new(
            tokens,
            self.session.clone(),
            account.map(str::to_owned),
        ))
    }
}

impl<V> fmt::Debug for AwaitingConsent<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitingConsent")
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_callback_is_found_before_its_code_is_spent() {
        let client = crate::client().build().expect("a client");
        let verifier = Verifier::new(client.code_verifier(), "announced".to_owned());
        let page = Url::parse("https://pages.example/").expect("a URL");
        let session = serde_json::from_str(r#"{"key":"k","expiry":1}"#).expect("a session");
        let now = client.platform_clock();
        let awaiting = AwaitingConsent::new(page, "s".to_owned(), session, verifier, now);
        let good = "success=true&state=s&code=c&accountReference=a";
        let check = |query: &str| awaiting.check(&Callback::from_query(query).expect("a query"));
        assert_eq!(check(good), Ok(()));
        assert_eq!(
            check(&format!("{good}&accountReference=b")),
            Err(CallbackError::Twice(ACCOUNT))
        );
    }
}
