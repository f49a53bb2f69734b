//! Whether a consent lasts, as a type.

use std::fmt;

use digime::Flow;
use digime::error::SuspendedError;
use digime::extend::ExtensionState;
use digime::suspended::{Durable, Resuming};

use crate::connected::ConnectedRecord;
use crate::{Connected, Import};

/// Whether a person's consent still lasts: [`ImportFlow::into_consent`](crate::ImportFlow::into_consent).
pub enum Consent<C> {
    /// It lasts, as far as is known.
    Valid(Flow<C, Connected>),
    /// It has ended.
    Lapsed(Flow<C, Lapsed>),
}

impl<C> fmt::Debug for Consent<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid(connected) => f.debug_tuple("Valid").field(connected).finish(),
            Self::Lapsed(lapsed) => f.debug_tuple("Lapsed").field(lapsed).finish(),
        }
    }
}

/// The state of a flow whose consent has ended. It can't push. The consent can be renewed for the same person.
///
/// What comes next: [`reauthorize`](crate::ImportFlow::reauthorize).
#[must_use = "the next step is `lapsed.reauthorize().await?`"]
pub struct Lapsed {
    connection: Connected,
}

impl Lapsed {
    pub(crate) fn connection(&self) -> &Connected {
        &self.connection
    }

    /// Why the consent has ended: the platform's code, or `None` if its time is over and nobody has asked the platform.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        self.connection.grant().tokens().ended().map(str::to_owned)
    }
}

impl ExtensionState for Lapsed {}

impl Durable for Lapsed {
    const NAME: &str = "digime_import::Lapsed";
    type Kind = Import;
    type Record = ConnectedRecord;

    fn record(&self) -> ConnectedRecord {
        self.connection.record()
    }

    fn from_record(
        record: ConnectedRecord,
        resuming: &Resuming<'_>,
    ) -> Result<Self, SuspendedError> {
        let connection = Connected::from_record(record, resuming)?;
        Ok(Self { connection })
    }
}

impl fmt::Debug for Lapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lapsed")
            .field("connection", &self.connection)
            .finish()
    }
}

/// Looks at what is known of the consent. Nothing is sent.
pub(crate) fn into_consent<C>(flow: Flow<C, Connected>) -> Consent<C> {
    let tokens = flow.as_state().grant().tokens();
    if tokens.consent_has_ended(flow.client()) {
        return Consent::Lapsed(flow.extend(|flow| Lapsed {
            connection: flow.into_state(),
        }));
    }
    Consent::Valid(flow)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use digime::{Client, Error, Suspended};
    use serde_json::json;

    use super::*;
    use crate::ImportFlow;
    use crate::examples::{
        Receipts, connected_until, flow, receipts, says_nothing_secret, session, tokens,
    };

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn tomorrow() -> SystemTime {
        SystemTime::now() + DAY
    }

    fn connected(state: Connected) -> Flow<Receipts, Connected> {
        flow(&Client::new()).extend(|_| state)
    }

    fn lapsed(state: Connected) -> Flow<Receipts, Lapsed> {
        match connected(state).into_consent() {
            Consent::Lapsed(lapsed) => lapsed,
            Consent::Valid(_) => panic!("the consent lasts"),
        }
    }

    #[test]
    fn a_consent_lasts_until_its_end() {
        let valid = connected(connected_until(tomorrow())).into_consent();
        assert!(matches!(valid, Consent::Valid(_)), "{valid:?}");
        let yesterday = SystemTime::now() - DAY;
        assert_eq!(lapsed(connected_until(yesterday)).as_state().code(), None);
    }

    #[test]
    fn a_consent_whose_end_is_not_known_lasts_until_the_platform_ends_it() {
        let without_end = tokens(&json!({}));
        let valid = connected(Connected::new(without_end, session(), None)).into_consent();
        assert!(matches!(valid, Consent::Valid(_)), "{valid:?}");

        let ended = tokens(&json!({"refresh": {"ended": {"code": "InvalidToken"}}}));
        let lapsed = lapsed(Connected::new(ended, session(), None));
        assert_eq!(lapsed.as_state().code().as_deref(), Some("InvalidToken"));
    }

    #[test]
    fn a_connection_is_resumed_as_it_was() {
        let flow = connected(connected_until(tomorrow()));
        let row = flow.suspend().to_json().expect("JSON");
        let suspended = Suspended::<Receipts, Connected>::from_json(&row).expect("a record");
        let resumed = suspended
            .resume(receipts(), flow.client())
            .expect("a connection");
        let state = resumed.as_state();
        assert_eq!(state.account_reference(), Some("account-1"));
        assert_eq!(state.consent_id().as_deref(), Some("consent-1"));
        assert_eq!(state.session().secret_key(), "the-session-key");
        assert_eq!(resumed.suspend().to_json().expect("JSON"), row);
    }

    #[test]
    fn a_consent_that_has_ended_is_resumed_as_such() {
        let lapsed = lapsed(connected_until(SystemTime::UNIX_EPOCH));
        let row = lapsed.suspend().to_json().expect("JSON");
        let suspended = Suspended::<Receipts, Lapsed>::from_json(&row).expect("a record");
        let resumed = suspended
            .resume(receipts(), lapsed.client())
            .expect("a consent");
        assert_eq!(resumed.suspend().to_json().expect("JSON"), row);
        assert!(Suspended::<Receipts, Connected>::from_json(&row).is_err());
    }

    #[test]
    fn nothing_is_pushed_while_the_connection_is_ending() {
        let flow = connected(connected_until(tomorrow()));
        assert!(flow.as_state().check_not_ending().is_ok());
        let row = flow.suspend().to_json().expect("JSON");
        let row = row.replace(
            r#""account_reference""#,
            r#""is_ending":true,"account_reference""#,
        );
        let suspended = Suspended::<Receipts, Connected>::from_json(&row).expect("a record");
        let ending = suspended
            .resume(receipts(), flow.client())
            .expect("a connection");
        let refused = ending.as_state().check_not_ending();
        let refused = refused.expect_err("a refusal");
        assert!(matches!(refused, Error::ConsentEnded { .. }), "{refused}");
    }

    #[test]
    fn a_connection_and_a_consent_that_has_ended_are_printed_without_their_secrets() {
        let connected = connected(connected_until(tomorrow()));
        let lapsed = lapsed(connected_until(SystemTime::UNIX_EPOCH));
        for text in [
            format!("{connected:?}"),
            format!("{lapsed:?}"),
            format!("{:?}", connected.as_state().record()),
            format!("{:?}", connected.as_state().session()),
            format!("{:?}", connected.suspend()),
        ] {
            says_nothing_secret(&text);
        }
    }
}
