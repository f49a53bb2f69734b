//! What a token store keeps of a user, as text.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::TokenRecord;
use crate::error::Error;
use crate::flow::Authorized;
use crate::flow::suspended::{SuspendedError, SuspendedRecord};

/// The record of a user. It has the application's data as the JSON that the application wrote, so that a refresh changes
/// nothing of it, such as the last digit of a number.
pub(super) type UserRecord = SuspendedRecord<Authorized, Data>;

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
pub(super) fn token_record(user: &UserRecord) -> Result<TokenRecord, Error> {
    Ok(TokenRecord::new(user.to_json()?))
}
