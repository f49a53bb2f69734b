//! What the attribute's code uses and nobody else should: it may change in any version.

pub mod ide;

use std::fmt::Display;
use std::str::FromStr;
pub use std::sync::LazyLock;

/// A value that is made when it is first used. rustc suggests other items for a `LazyLock::new` whose path it does not find.
#[must_use]
pub const fn lazy<T>(make: fn() -> T) -> LazyLock<T> {
    LazyLock::new(make)
}

/// A literal of the attribute's arguments. The attribute has checked it by the same rules.
///
/// # Panics
/// Where the literal breaks a rule all the same, so that no value comes from here that a constructor would refuse.
#[must_use]
pub fn literal<T: FromStr<Err: Display>>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|error| panic!("a literal that the attribute has not checked: {error}"))
}

/// What the benchmarks measure on its own.
pub mod measured {
    use serde_json::json;

    use crate::client::Client;
    use crate::contract::Contract;
    use crate::error::Error;
    use crate::platform::Platform;
    use crate::postbox::Envelope;

    /// A request token, as a refresh has it; its length.
    ///
    /// # Errors
    /// None that an input explains.
    pub fn request_token(contract: &impl Contract, client: &Client) -> Result<usize, Error> {
        let claims = json!({"grant_type": "refresh_token", "refresh_token": "x"});
        let token = Platform::new(contract, client).request_token(&claims)?;
        Ok(token.len())
    }

    /// Encrypts a chunk so many times, as the parts of one file; the length of what comes out.
    ///
    /// # Errors
    /// None that an input explains.
    pub fn seal(chunk: &[u8], times: usize) -> Result<usize, Error> {
        let mut encryptor = Envelope::new().encryptor()?;
        let mut length = 0;
        for _ in 0..times {
            length += encryptor.update(chunk)?.len();
        }
        Ok(length + encryptor.finish()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{ApplicationId, RedirectUri};

    #[test]
    fn a_literal_becomes_what_a_constructor_makes() {
        let id: ApplicationId = literal("app-1");
        assert_eq!(Ok(id), ApplicationId::new("app-1"));
    }

    #[test]
    #[should_panic(expected = "the redirect URI is plain http")]
    fn a_literal_that_breaks_a_rule_becomes_no_value() {
        let _: RedirectUri = literal("http://shop.example/digime");
    }
}
