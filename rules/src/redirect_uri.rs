use thiserror::Error;
use url::{Host, Url};

/// The query parameters that the user's client adds. A redirect URI that already has one of them would repeat it in
/// every callback.
const CALLBACK_PARAMETERS: [&str; 5] = ["result", "postboxId", "publicKey", "code", "state"];

/// Why a string can't be a contract's redirect URI.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedirectUriError {
    /// It has no scheme (RFC 6749, section 3.1.2: the URI must be absolute).
    #[error(
        "the redirect URI is relative: write an absolute URI, such as `https://shop.example/digime`"
    )]
    Relative,
    /// It is not a URI.
    #[error("the redirect URI is malformed ({0}): write it like `https://shop.example/digime`")]
    Malformed(String),
    /// It contains whitespace, a control character or a backslash. Parsers disagree about what such a URI means.
    #[error("the redirect URI contains {0}: remove it or percent-encode it")]
    Character(&'static str),
    /// It has a fragment, which RFC 6749, section 3.1.2 forbids.
    #[error(
        "the redirect URI has a fragment: remove the `#` and everything after it, which never reaches the server"
    )]
    Fragment,
    /// It has a user name or a password.
    #[error("the redirect URI has userinfo before its host: remove the part that ends with `@`")]
    UserInfo,
    /// It is `http` to another machine, so anyone on the network path can read the code (RFC 8252, section 8.3).
    #[error(
        "the redirect URI is plain http: use https, or http with a loopback address (`127.0.0.1`, `[::1]`, `localhost`)"
    )]
    PlainHttp,
    /// Its scheme is not https, http or a private-use scheme (RFC 8252, section 7.1).
    #[error(
        "the redirect URI's scheme `{0}` has no dot in it: use https, or a private-use scheme such as `com.example.app`"
    )]
    Scheme(String),
    /// It has a query parameter that the user's client adds.
    #[error("the redirect URI has the query parameter `{0}`, which the callback adds: rename it")]
    Reserved(&'static str),
}

/// Checks that a redirect URI is absolute, has no fragment and no userinfo, and is https, http with a loopback address,
/// or of a private-use scheme (RFC 6749, section 3.1.2; RFC 8252, section 7).
///
/// # Errors
/// Returns the rule that the URI breaks.
pub fn check_redirect_uri(uri: &str) -> Result<(), RedirectUriError> {
    if uri.chars().any(char::is_whitespace) {
        return Err(RedirectUriError::Character("whitespace"));
    }
    if uri.chars().any(char::is_control) {
        return Err(RedirectUriError::Character("a control character"));
    }
    if uri.contains('\\') {
        return Err(RedirectUriError::Character("a backslash"));
    }
    let url = match Url::parse(uri) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => return Err(RedirectUriError::Relative),
        Err(error) => return Err(RedirectUriError::Malformed(error.to_string())),
    };
    if url.fragment().is_some() {
        return Err(RedirectUriError::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RedirectUriError::UserInfo);
    }
    check_scheme(uri, &url)?;
    match CALLBACK_PARAMETERS
        .iter()
        .find(|name| url.query_pairs().any(|(own, _)| own == **name))
    {
        Some(name) => Err(RedirectUriError::Reserved(name)),
        None => Ok(()),
    }
}

fn check_scheme(uri: &str, url: &Url) -> Result<(), RedirectUriError> {
    match url.scheme() {
        // The URL standard repairs `https:host` and `https:/host`; the platform uses simple string comparison.
        web @ ("https" | "http") if !uri[web.len()..].starts_with("://") => Err(
            RedirectUriError::Malformed(format!("no `//` after `{web}:`")),
        ),
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        "http" => Err(RedirectUriError::PlainHttp),
        private_use if private_use.contains('.') => Ok(()),
        other => Err(RedirectUriError::Scheme(beginning(other))),
    }
}

/// As much of a scheme as an error quotes. A scheme consists of ASCII letters, digits, `+`, `-` and `.`.
fn beginning(scheme: &str) -> String {
    const LONGEST: usize = 64;
    match scheme.get(..LONGEST) {
        Some(beginning) if scheme.len() > LONGEST => format!("{beginning}…"),
        _ => scheme.to_owned(),
    }
}

/// Whether the host of a URL is this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_loopback_and_private_use_uris_are_accepted() {
        for uri in [
            "https://shop.example/digime",
            "https://shop.example",
            "HTTPS://shop.example/a?b=c&d=%20",
            "http://localhost:8081/push?sessionKey=abc%20d",
            "http://127.0.0.1/cb",
            "http://[::1]:9/cb",
            "com.example.app:/callback",
            "com.example.app://callback",
        ] {
            assert_eq!(check_redirect_uri(uri), Ok(()), "{uri}");
        }
    }

    #[test]
    fn an_error_quotes_little_of_a_long_uri() {
        let long = "a".repeat(4_000_000);
        for uri in [format!("{long}:/"), format!("https://{long}:99999/")] {
            let error = check_redirect_uri(&uri).unwrap_err().to_string();
            assert!(error.len() < 300, "{} bytes", error.len());
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        use RedirectUriError::{
            Character, Fragment, PlainHttp, Relative, Reserved, Scheme, UserInfo,
        };
        for (uri, why) in [
            ("", Relative),
            ("/digime", Relative),
            ("shop.example/digime", Relative),
            (" https://shop.example", Character("whitespace")),
            ("https://shop.example/a b", Character("whitespace")),
            (
                "https://shop.example/a\u{0}b",
                Character("a control character"),
            ),
            ("https:\\\\shop.example", Character("a backslash")),
            ("https://shop.example/#", Fragment),
            ("https://user@shop.example/", UserInfo),
            ("https://:secret@shop.example/", UserInfo),
            ("http://shop.example/", PlainHttp),
            ("http://localhost.shop.example/", PlainHttp),
            ("ftp://shop.example/", Scheme("ftp".into())),
            ("javascript:alert(1)", Scheme("javascript".into())),
            ("myapp:/callback", Scheme("myapp".into())),
            ("https://shop.example/?state=1", Reserved("state")),
            (
                "https://shop.example/?a=b&postboxI%64=1",
                Reserved("postboxId"),
            ),
        ] {
            assert_eq!(check_redirect_uri(uri), Err(why), "{uri}");
        }
        for uri in [
            "https://",
            "https:shop.example",
            "https:/shop.example",
            "https://shop.example:99999/",
        ] {
            assert!(
                matches!(check_redirect_uri(uri), Err(RedirectUriError::Malformed(_))),
                "{uri}"
            );
        }
    }
}
