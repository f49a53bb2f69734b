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
            ends: now.checked_add(LONGEST_WAIT).unwrap_or(now),
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
#[derive(Clone, Serialize, Deserialize)]
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

/// The page has the code of the authorization in its query.
impl fmt::Debug for AwaitingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitingRecord")
            .field("ends", &self.ends)
            .finish_non_exhaustive()
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
    use digime::{Client, Suspended};
    use serde_json::json;

    use super::*;
    use crate::examples::{Receipts, awaiting, flow, receipts, says_nothing_secret, tokens};

    /// Waits for the renewal of a person's consent, if it has an id.
    fn for_person(id: Option<&str>) -> AwaitingConsent<Verifier> {
        AwaitingConsent {
            person: id.map(str::to_owned),
            ..awaiting()
        }
    }

    fn checked(query: &str) -> Result<(), CallbackError> {
        awaiting().check(&Callback::from_query(query).expect("a callback"))
    }

    #[test]
    fn a_callback_is_an_answer_if_it_says_success_and_the_state_of_the_flow() {
        assert_eq!(checked("success=true&state=the-state&code=c"), Ok(()));
        let others = "success=true&state=the-state&code=c&accountReference=a&other=1&other=2";
        assert_eq!(checked(others), Ok(()));
    }

    #[test]
    fn a_callback_of_another_flow_is_no_answer_whatever_it_says() {
        for success in ["true", "false", "maybe"] {
            let query = format!("success={success}&state=another&code=c");
            assert_eq!(checked(&query), Err(CallbackError::AnotherFlow));
        }
        assert_eq!(
            checked("state=&success=true"),
            Err(CallbackError::AnotherFlow)
        );
        assert_eq!(checked("state=another"), Err(CallbackError::AnotherFlow));
    }

    #[test]
    fn a_success_without_a_state_is_no_answer() {
        let missing = Err(CallbackError::Missing("state"));
        assert_eq!(checked("success=true&code=c"), missing);
    }

    #[test]
    fn only_true_and_false_are_known_values_of_success() {
        for query in ["success=maybe", "success=", "success=TRUE", "success=1"] {
            let unknown = Err(CallbackError::Unknown("success"));
            assert_eq!(checked(&format!("{query}&state=the-state&code=c")), unknown);
        }
        let missing = Err(CallbackError::Missing("success"));
        assert_eq!(checked("state=the-state&code=c"), missing);
        let twice = "success=false&state=the-state&success=true";
        assert_eq!(checked(twice), Err(CallbackError::Twice("success")));
    }

    #[test]
    fn a_refusal_has_the_code_of_the_page() {
        let refused = |code: &str| Err(CallbackError::NotConsented { code: code.into() });
        let query = "success=false&errorCode=USER_CANCEL&state=the-state";
        assert_eq!(checked(query), refused("USER_CANCEL"));
        assert_eq!(checked("success=false&state=the-state"), refused("no code"));
        // The page may fail before it knows the state.
        assert_eq!(checked("success=false&errorCode=x"), refused("x"));
        let accounts = "success=true&state=the-state&code=c&accountReference=a&accountReference=b";
        assert_eq!(checked(accounts), Err(CallbackError::Twice(ACCOUNT)));
        let twice = "success=false&errorCode=x&errorCode=y&state=the-state";
        assert_eq!(checked(twice), Err(CallbackError::Twice("errorCode")));
    }

    fn granted(
        wanted: Option<&str>,
        consented: Option<&str>,
        query: &str,
    ) -> Result<Connected, Error> {
        let tokens = match consented {
            Some(person) => tokens(&json!({"user_id": person})),
            None => tokens(&json!({})),
        };
        let callback = Callback::from_query(query).expect("a callback");
        for_person(wanted).granted(&callback, tokens)
    }

    #[test]
    fn a_renewal_takes_no_tokens_of_another_person() {
        let refused = granted(Some("ada"), Some("grace"), "").expect_err("another person");
        assert_eq!(refused.as_extension(), Some(&ImportError::AnotherPerson));
        for (wanted, consented) in [
            (Some("ada"), Some("ada")),
            (None, Some("grace")),
            (Some("ada"), None),
            (None, None),
        ] {
            let connected = granted(wanted, consented, "").expect("the same person");
            assert_eq!(connected.person_id().as_deref(), consented);
        }
    }

    #[test]
    fn the_account_comes_from_the_callback() {
        let connected = granted(None, None, "accountReference=a-1").expect("a connection");
        assert_eq!(connected.account_reference(), Some("a-1"));
        let connected = granted(None, None, "").expect("a connection");
        assert_eq!(connected.account_reference(), None);
        let twice = granted(None, None, "accountReference=a&accountReference=b");
        let twice = twice.expect_err("two accounts");
        assert!(matches!(
            twice,
            Error::Callback(CallbackError::Twice("accountReference"))
        ));
    }

    #[test]
    fn a_suspended_flow_waits_for_the_same_person_on_the_same_page() {
        let client = Client::new();
        let waiting = flow(&client).extend(|_| for_person(Some("ada")));
        let suspended = waiting.suspend();
        assert_eq!(
            suspended.expires_at(),
            Some(SystemTime::UNIX_EPOCH + LONGEST_WAIT)
        );
        let row = suspended.to_json().expect("JSON");
        let read = Suspended::<Receipts, AwaitingConsent<Verifier>>::from_json(&row);
        let suspended = read.expect("a record");
        let resumed = suspended.resume(receipts(), &client).expect("a flow");
        assert_eq!(resumed.as_state().url(), waiting.as_state().url());
        assert_eq!(resumed.as_state().state(), "the-state");
        assert_eq!(resumed.as_state().person.as_deref(), Some("ada"));
        assert_eq!(resumed.suspend().to_json().expect("JSON"), row);
    }

    #[test]
    fn what_waits_is_printed_without_its_secrets() {
        let state = awaiting();
        let verifier = serde_json::to_value(&state.record().verifier).expect("JSON");
        let code_verifier = verifier["code_verifier"].as_str().expect("a verifier");
        let waiting = flow(&Client::new()).extend(|_| state);
        let record = waiting.as_state().record();
        for text in [
            format!("{waiting:?}"),
            format!("{record:?}"),
            format!("{:?}", waiting.suspend()),
        ] {
            says_nothing_secret(&text);
            assert!(!text.contains(code_verifier), "{text}");
        }
    }
}
