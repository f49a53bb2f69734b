use std::time::Duration;

use serde::Deserialize;

use crate::api::Api;

/// An endpoint of the platform. Those that both versions of its API have are one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST permission-access/session` of API 1.5.
    Session,
    /// `POST oauth/authorize` of both versions.
    Authorize,
    /// `POST oauth/token` of both versions.
    Token,
    /// `POST permission-access/postbox/{id}` of API 1.5.
    Push,
    /// The platform's key set, of both versions.
    Keys,
    /// `POST permission-access/import` of API 1.7.
    Import,
    /// `POST permission-access/import/h:accountId/{standard}/{version}` of API 1.7.
    ImportToProvider,
    /// `POST oauth/token/reference` of API 1.7.
    Reference,
    /// `DELETE user` of API 1.7.
    DeleteUser,
}

impl Endpoint {
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match Api::of_path(path)? {
            (_, "oauth/authorize") => Some(Self::Authorize),
            (_, "oauth/token") => Some(Self::Token),
            (_, "jwks/oauth") => Some(Self::Keys),
            (Api::Postbox, "permission-access/session") => Some(Self::Session),
            (Api::Postbox, path) if path.starts_with("permission-access/postbox/") => {
                Some(Self::Push)
            }
            (Api::Import, "oauth/token/reference") => Some(Self::Reference),
            (Api::Import, "permission-access/import") => Some(Self::Import),
            (Api::Import, "user") => Some(Self::DeleteUser),
            (Api::Import, path) if path.starts_with("permission-access/import/") => {
                Some(Self::ImportToProvider)
            }
            _ => None,
        }
    }
}

/// How the platform, or the network in front of it, misbehaves for one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The platform answers with a status and an empty body, and does nothing.
    Status(u16),
    /// The platform answers with a status and `Retry-After`, in seconds, and does nothing.
    RetryAfter(u16, u64),
    /// The platform refuses with a status and one of the protocol's codes, and does nothing.
    Refuse(u16, &'static str),
    /// The platform refuses with a status and a message that repeats the claims of the request's token, and does nothing.
    Echo(u16),
    /// The platform answers with a status before it has read the request's body, and does nothing.
    RefuseUnread(u16),
    /// The platform reads this many bytes of the request's body and no more, and keeps the connection open.
    StopReading(u64),
    /// The platform waits before it reads each part of the request's body, and then acts normally.
    ReadSlowly(Duration),
    /// The platform waits, and then acts normally.
    Delay(Duration),
    /// The connection is cut when this many bytes of the request's body have arrived. The platform does nothing.
    DisconnectAfter(u64),
    /// The platform acts, and the connection is cut before the answer.
    LoseAnswer,
    /// The platform acts, and the connection is cut in the middle of the answer.
    CutAnswer,
    /// The platform answers 200 with this body, and does nothing.
    Answer(String),
    /// The platform acts, and its token is signed with a foreign key.
    ForgedToken,
    /// The platform acts, and its token names keys at another origin.
    ForeignKeys,
}
