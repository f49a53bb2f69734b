use std::time::Duration;

/// An endpoint of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST permission-access/session`
    Session,
    /// `POST oauth/authorize`
    Authorize,
    /// `POST oauth/token`
    Token,
    /// `POST permission-access/postbox/{id}`
    Push,
    /// The platform's key set.
    Keys,
}

impl Endpoint {
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v1.5/")?;
        match path {
            "permission-access/session" => Some(Self::Session),
            "oauth/authorize" => Some(Self::Authorize),
            "oauth/token" => Some(Self::Token),
            "jwks/oauth" => Some(Self::Keys),
            _ if path.starts_with("permission-access/postbox/") => Some(Self::Push),
            _ => None,
        }
    }
}

/// How the platform, or the network before it, misbehaves towards one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It answers with a status and no explanation, and does nothing.
    Status(u16),
    /// It answers with a status and `Retry-After`, in seconds, and does nothing.
    RetryAfter(u16, u64),
    /// It refuses with a status and one of the protocol's codes, and does nothing.
    Refuse(u16, &'static str),
    /// It refuses with a status and a message that repeats what the request's token says, and does nothing.
    Echo(u16),
    /// It answers with a status before it has read the request's body, and does nothing.
    RefuseUnread(u16),
    /// It reads so many bytes of the request's body and no more, and keeps the connection.
    StopReading(u64),
    /// It waits so long before each part of the request's body that it reads, and acts as it should.
    ReadSlowly(Duration),
    /// It waits, then acts as it should.
    Delay(Duration),
    /// The connection ends when so many bytes of the request's body have arrived; nothing is done.
    DisconnectAfter(u64),
    /// It does what it is asked for, and the connection ends before the answer.
    LoseAnswer,
    /// It does what it is asked for, and the connection ends in the middle of the answer.
    CutAnswer,
    /// It answers 200 with this body, and does nothing.
    Answer(String),
    /// It acts, and its platform token is signed by somebody else.
    ForgedToken,
    /// It acts, and its platform token names keys at another origin.
    ForeignKeys,
}
