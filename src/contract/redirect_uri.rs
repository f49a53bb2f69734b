use std::fmt;
use std::str::FromStr;

use digime_rules::{RedirectUriError, check_redirect_uri};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// Where the user's client calls back when the user has answered.
///
/// It is absolute and has neither a fragment nor userinfo. Its scheme is https, http on the loopback, or a private-use
/// scheme with a dot in it (RFC 6749, section 3.1.2; RFC 8252, section 7). The platform compares it with the contract's
/// registered redirect URIs by simple string comparison (RFC 3986, section 6.2.1), so it is kept and sent exactly as
/// given.
///
/// ```
/// # use digime::RedirectUri;
/// let uri = RedirectUri::new("https://shop.example/digime")?;
/// assert_eq!(uri.as_str(), "https://shop.example/digime");
/// assert!(RedirectUri::new("http://shop.example/digime").is_err());
/// # Ok::<(), digime::error::RedirectUriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Makes a redirect URI from one that is registered for the contract.
    ///
    /// ```
    /// # use digime::RedirectUri;
    /// let web = RedirectUri::new("https://shop.example/digime")?;
    /// let app = RedirectUri::new("com.example.app:/callback")?;
    /// # Ok::<(), digime::error::RedirectUriError>(())
    /// ```
    ///
    /// # Errors
    /// [`RedirectUriError`] says which rule the URI breaks.
    pub fn new(uri: impl Into<String>) -> Result<Self, RedirectUriError> {
        let uri = uri.into();
        check_redirect_uri(&uri)?;
        Ok(Self(uri))
    }

    /// The URI, exactly as it was given.
    ///
    /// ```
    /// # use digime::RedirectUri;
    /// let uri = RedirectUri::new("https://Shop.example/digime")?;
    /// assert_eq!(uri.as_str(), "https://Shop.example/digime");
    /// # Ok::<(), digime::error::RedirectUriError>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URI with a parameter added to its query.
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

impl AsRef<str> for RedirectUri {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RedirectUri {
    type Err = RedirectUriError;

    fn from_str(uri: &str) -> Result<Self, RedirectUriError> {
        Self::new(uri)
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = RedirectUriError;

    fn try_from(uri: String) -> Result<Self, RedirectUriError> {
        Self::new(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_added_to_an_existing_query() {
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
