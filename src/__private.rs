//! What the attribute's code uses and nobody else should: it may change in any version.

pub mod ide;

use std::fmt::Display;
use std::str::FromStr;
pub use std::sync::LazyLock;

pub use crate::flow::extension::{CallSpan, Ending, KnownEnding, Returned, UnknownEnding};
pub use crate::flow::reasons::sealed::Never;

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
