//! Whether a consent lasts, as a type.

use std::fmt;

use digime::Flow;
use digime::error::SuspendedError;
use digime::extend::ExtensionState;
use digime::suspended::{Durable, Resuming};
use digime::tokens::HoldsTokens;

use crate::connected::ConnectedRecord;
use crate::{Connected, Import};

/// Whether a person's consent still lasts: [`ImportFlow::into_consent`](crate::ImportFlow::into_consent).
#[derive(Debug)]
pub enum Consent<C> {
    /// It lasts, as far as is known.
    Valid(Flow<C, Connected>),
    /// It has ended.
    Lapsed(Flow<C, Lapsed>),
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
    let tokens = HoldsTokens::grant(flow.as_state()).tokens();
    let is_over = tokens
        .consent_expires_at()
        .is_some_and(|ends| ends <= flow.client().platform_clock());
    if is_over || tokens.ended().is_some() {
        return Consent::Lapsed(flow.extend(|flow| Lapsed {
            connection: flow.into_state(),
        }));
    }
    Consent::Valid(flow)
}
