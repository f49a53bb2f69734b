use rand::distr::{Alphanumeric, SampleString};

/// 32 random letters and digits.
pub(crate) fn key() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 32)
}

/// What makes the ids of one sandbox differ from another's: eight random lower-case letters and digits.
pub(crate) fn suffix() -> String {
    Alphanumeric
        .sample_string(&mut rand::rng(), 8)
        .to_ascii_lowercase()
}
