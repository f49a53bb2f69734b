//! Secrets as serde data: they are read as any text, and written where a record must hold them.

use secrecy::{ExposeSecret, SecretString};
use serde::Serializer;

/// For `serialize_with`. It stands on the secrets of what is suspended, and on nothing else.
pub fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}
