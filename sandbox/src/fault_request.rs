//! Faults as JSON, for `POST /sandbox/faults`.

use std::time::Duration;

use serde::Deserialize;

use crate::fault::{Endpoint, Fault};

/// How many requests one call may spoil.
const MOST: u32 = 10_000;

/// The codes of the protocol, and the two with which the sandbox refuses what the protocol has no code for.
const CODES: [&str; 17] = [
    "InsufficientScope",
    "InvalidAccount",
    "InvalidClient",
    "InvalidConsentAccessApplication",
    "InvalidContractId",
    "InvalidGrant",
    "InvalidJWT",
    "InvalidPostbox",
    "InvalidRedirectUri",
    "InvalidRequest",
    "InvalidSession",
    "InvalidToken",
    "InvalidTokenType",
    "SDKInvalid",
    "SDKVersion",
    "SDKVersionInvalid",
    "ServiceAuthorizationError",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultRequest {
    pub endpoint: Endpoint,
    fault: Form,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

/// A [`Fault`] as it is written in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Status(u16),
    RetryAfter(RetryAfter),
    Refuse(Refuse),
    Echo(u16),
    RefuseUnread(u16),
    StopReading(u64),
    ReadSlowly(Milliseconds),
    Delay(Milliseconds),
    DisconnectAfter(u64),
    LoseAnswer,
    CutAnswer,
    Answer(String),
    ForgedToken,
    ForeignKeys,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryAfter {
    status: u16,
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refuse {
    status: u16,
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Milliseconds {
    milliseconds: u64,
}

impl FaultRequest {
    /// The faults to inject, one for each request.
    ///
    /// # Errors
    /// A sentence that says what the request has to look like.
    pub(crate) fn faults(self) -> Result<Vec<Fault>, String> {
        if !(1..=MOST).contains(&self.times) {
            return Err(format!("`times` is not from 1 to {MOST}"));
        }
        let fault = self.fault.fault()?;
        Ok((0..self.times).map(|_| fault.clone()).collect())
    }
}

impl Form {
    fn fault(self) -> Result<Fault, String> {
        let pause = |pause: Milliseconds| Duration::from_millis(pause.milliseconds);
        Ok(match self {
            Self::Status(status) => Fault::Status(final_status(status)?),
            Self::RetryAfter(it) => Fault::RetryAfter(final_status(it.status)?, it.seconds),
            Self::Refuse(it) => Fault::Refuse(final_status(it.status)?, known_code(&it.code)?),
            Self::Echo(status) => Fault::Echo(final_status(status)?),
            Self::RefuseUnread(status) => Fault::RefuseUnread(final_status(status)?),
            Self::StopReading(bytes) => Fault::StopReading(bytes),
            Self::ReadSlowly(it) => Fault::ReadSlowly(pause(it)),
            Self::Delay(it) => Fault::Delay(pause(it)),
            Self::DisconnectAfter(bytes) => Fault::DisconnectAfter(bytes),
            Self::LoseAnswer => Fault::LoseAnswer,
            Self::CutAnswer => Fault::CutAnswer,
            Self::Answer(body) => Fault::Answer(body),
            Self::ForgedToken => Fault::ForgedToken,
            Self::ForeignKeys => Fault::ForeignKeys,
        })
    }
}

/// A status that ends a request. Those from 100 to 199 announce another one.
fn final_status(status: u16) -> Result<u16, String> {
    match status {
        200..=599 => Ok(status),
        _ => Err(format!("the status {status} is not from 200 to 599")),
    }
}

fn known_code(code: &str) -> Result<&'static str, String> {
    let known = CODES.into_iter().find(|known| *known == code);
    known.ok_or_else(|| {
        format!(
            "the code `{code}` is unknown, expected one of {}",
            CODES.join(", ")
        )
    })
}
