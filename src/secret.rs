//! Serializes secrets. They are read like any string, and written only to the records that must hold them.

use secrecy::{ExposeSecret, SecretString};
use serde::Serializer;

/// For `serialize_with`, on the secrets of suspended flows only.
pub(crate) fn expose<S: Serializer>(
    secret: &SecretString,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}
