use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// The session that comes with an authorization. A push needs none. Reading does: an application that also reads the person's data
/// passes the key to what reads.
#[derive(Clone, Serialize, Deserialize)]
pub struct ReadingSession {
    #[serde(serialize_with = "expose")]
    key: SecretString,
    expiry: u64,
}

impl ReadingSession {
    /// The session's key. It is secret.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        self.key.expose_secret()
    }

    /// When the session ends, as the platform says it. The protocol does not say the unit.
    #[must_use]
    pub fn expiry(&self) -> u64 {
        self.expiry
    }
}

impl fmt::Debug for ReadingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadingSession")
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

/// Writes a secret into a record, which is secret too.
fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}
