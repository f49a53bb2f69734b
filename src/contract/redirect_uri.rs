use std::fmt;
use std::str::FromStr;

use digime_rules::{InvalidRedirectUri, check_redirect_uri};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// Where the user's client calls back when the user has answered.
///
/// It is absolute, has no fragment and no user info, and is https, http on the loopback, or of a private-use scheme
/// with a dot in it (RFC 6749, section 3.1.2; RFC 8252, section 7). The platform compares it with the contract's white
/// list letter by letter, so it is kept and sent exactly as given.
///
/// ```
/// # use digime::RedirectUri;
/// let uri = RedirectUri::new("https://shop.example/digime")?;
/// assert_eq!(uri.as_str(), "https://shop.example/digime");
/// assert!(RedirectUri::new("http://shop.example/digime").is_err());
/// # Ok::<(), digime::InvalidRedirectUri>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Takes a URI that the contract whitelists.
    ///
    /// # Errors
    /// [`InvalidRedirectUri`] says which rule it breaks.
    pub fn new(uri: impl Into<String>) -> Result<Self, InvalidRedirectUri> {
        let uri = uri.into();
        check_redirect_uri(&uri)?;
        Ok(Self(uri))
    }

    /// The URI, letter by letter as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URI with a parameter added to its own query.
    pub(crate) fn with_parameter(&self, name: &str, value: &str) -> String {
        let separator = match self.0.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        let parameter = form_urlencoded::Serializer::new(String::new())
            .append_pair(name, value)
            .finish();
        format!("{self}{separator}{parameter}")
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(uri: &str) -> Result<Self, InvalidRedirectUri> {
        Self::new(uri)
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = InvalidRedirectUri;

    fn try_from(uri: String) -> Result<Self, InvalidRedirectUri> {
        Self::new(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_joins_the_query_that_is_there() {
        for (uri, with_parameter) in [
            ("https://a.example", "https://a.example?state=x+y"),
            ("https://a.example/?", "https://a.example/?state=x+y"),
            ("https://a.example/?b=c", "https://a.example/?b=c&state=x+y"),
            ("com.example.app:/cb", "com.example.app:/cb?state=x+y"),
        ] {
            let uri = RedirectUri::new(uri).expect("a redirect URI");
            assert_eq!(uri.with_parameter("state", "x y"), with_parameter);
        }
    }
}
