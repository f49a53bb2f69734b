//! What a token store keeps of a user, as text.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::TokenRecord;
use crate::error::Error;
use crate::flow::grant::HoldsTokens;
use crate::flow::received_consent::ReceivedConsent;
use crate::flow::suspended::{Durable, SuspendedError, SuspendedRecord};
use crate::platform::Tokens;

/// The record of a user whose flow is in the state `G`. It has the application's data as the JSON that the application wrote, so
/// that a refresh changes nothing of it, such as the last digit of a number.
pub(super) type UserRecord<G> = SuspendedRecord<G, Data>;

/// The application's data, as JSON.
pub(super) type Data = Box<RawValue>;

/// # Errors
/// [`SuspendedError::Damaged`] if the data can't be serialized.
pub(super) fn to_data(data: &impl Serialize) -> Result<Data, SuspendedError> {
    to_raw_value(data).map_err(|_| SuspendedError::Damaged)
}

pub(super) fn no_data() -> Data {
    RawValue::NULL.to_owned()
}

pub(super) fn is_none(data: &RawValue) -> bool {
    data.get() == RawValue::NULL.get()
}

/// The record of a user as a store keeps it.
pub(super) fn token_record<G: Durable>(user: &UserRecord<G>) -> Result<TokenRecord, Error> {
    Ok(TokenRecord::new(user.to_json()?))
}

/// The application's data in a record of any state, if it can be read.
pub(super) fn attached(record: &str) -> Option<Data> {
    /// Named as [`SuspendedRecord`] writes it.
    #[derive(Deserialize)]
    struct Attached {
        user_data: Data,
    }

    let attached: Attached = serde_json::from_str(record).ok()?;
    Some(attached.user_data)
}

/// What is compared of two records of a user.
pub(super) struct Kept {
    pub tokens: Tokens,
    /// Tells a consent from others that were received at the same time.
    pub consent: String,
}

impl Kept {
    pub(super) fn consent(&self) -> ReceivedConsent {
        ReceivedConsent::new(self.consent.clone(), &self.tokens)
    }
}

/// How the records of a state are read and written, for code that keeps the records of many states.
#[derive(Clone, Copy)]
pub(super) struct RecordFormat {
    pub read: fn(&str) -> Option<Kept>,
    /// The record with other data of the application.
    pub with_data: fn(&str, Data) -> Option<String>,
    /// The record with other tokens.
    pub with_tokens: fn(&str, Tokens) -> Option<String>,
}

impl RecordFormat {
    pub(super) fn of<G: HoldsTokens>() -> Self {
        Self {
            read: |record| {
                let record = UserRecord::<G>::from_json(record).ok()?;
                Some(Kept {
                    tokens: G::tokens(&record.payload).clone(),
                    consent: G::consent(&record.payload).to_owned(),
                })
            },
            with_data: |record, data| {
                let mut record = UserRecord::<G>::from_json(record).ok()?;
                record.attached = data;
                record.to_json().ok()
            },
            with_tokens: |record, tokens| {
                let mut record = UserRecord::<G>::from_json(record).ok()?;
                *G::tokens_mut(&mut record.payload) = tokens;
                record.to_json().ok()
            },
        }
    }
}

impl fmt::Debug for RecordFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordFormat").finish_non_exhaustive()
    }
}
