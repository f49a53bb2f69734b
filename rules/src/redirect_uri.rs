use thiserror::Error;
use url::{Host, Url};

/// The parameters with which the user's client answers. One of the redirect URI's own with the same name would stand
/// twice in every callback.
const ANSWERED: [&str; 5] = ["result", "postboxId", "publicKey", "code", "state"];

/// Why a text can't be the URI at which the user's client calls back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedirectUriError {
    /// It is a path or a host name, without a scheme (RFC 6749, section 3.1.2: the URI is absolute).
    #[error("the redirect URI is relative: write it out, as in `https://shop.example/digime`")]
    Relative,
    /// It is no URI.
    #[error("the redirect URI is malformed ({0}): write it as in `https://shop.example/digime`")]
    Malformed(String),
    /// White space, a control character or a backslash is in it; parsers disagree about what such a URI means.
    #[error("the redirect URI has {0} in it: remove it or percent-encode it")]
    Character(&'static str),
    /// It has a fragment (RFC 6749, section 3.1.2: it must not).
    #[error(
        "the redirect URI has a fragment: remove the `#` and all that follows, it would never reach the server"
    )]
    Fragment,
    /// It has a user name or a password.
    #[error("the redirect URI has user info before its host: remove all up to the `@`")]
    UserInfo,
    /// It is `http` and leads off this machine, so that anyone on the way can read the code (RFC 8252, section 8.3).
    #[error(
        "the redirect URI is plain http: use https, or http on the loopback (`127.0.0.1`, `[::1]`, `localhost`)"
    )]
    PlainHttp,
    /// Its scheme is neither https, http nor a private-use one (RFC 8252, section 7.1).
    #[error(
        "the redirect URI's scheme `{0}` has no dot in it: use https, or a private-use scheme such as `com.example.app`"
    )]
    Scheme(String),
    /// It uses the name of a parameter with which the user's client answers.
    #[error("the redirect URI's own parameter `{0}` is one that the callback adds: rename it")]
    Reserved(&'static str),
}

/// Checks a redirect URI: absolute, without fragment and user info, and https, http on the loopback, or of a
/// private-use scheme (RFC 6749, section 3.1.2; RFC 8252, section 7).
///
/// # Errors
/// Says which rule the text breaks.
pub fn check_redirect_uri(uri: &str) -> Result<(), RedirectUriError> {
    if uri.chars().any(char::is_whitespace) {
        return Err(RedirectUriError::Character("white space"));
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
    match ANSWERED
        .iter()
        .find(|name| url.query_pairs().any(|(own, _)| own == **name))
    {
        Some(name) => Err(RedirectUriError::Reserved(name)),
        None => Ok(()),
    }
}

fn check_scheme(uri: &str, url: &Url) -> Result<(), RedirectUriError> {
    match url.scheme() {
        // The URL standard mends `https:host` and `https:/host`; the platform compares texts.
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

/// As much of a scheme as an error may quote. A scheme has no characters but ASCII letters, digits, `+`, `-` and `.`.
fn beginning(scheme: &str) -> String {
    const LONGEST: usize = 64;
    match scheme.get(..LONGEST) {
        Some(beginning) if scheme.len() > LONGEST => format!("{beginning}…"),
        _ => scheme.to_owned(),
    }
}

/// Whether a URL leads to this machine.
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
    fn https_loopback_and_private_use_schemes_are_accepted() {
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
    fn little_of_an_endless_uri_is_quoted() {
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
            (" https://shop.example", Character("white space")),
            ("https://shop.example/a b", Character("white space")),
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
