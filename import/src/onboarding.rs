//! Where digi.me is: the base URL of its API 1.7, and of the pages on which a person consents.

use std::fmt;

use digime::{Client, ClientBuilder};
use thiserror::Error;
use url::Url;

use crate::ImportError;

/// The API of digi.me that has the import.
const DIGI_ME_API: &str = "https://api.digi.me/v1.7";

const DIGI_ME_ORIGIN: &str = "https://api.digi.me";

/// The pages of digi.me.
const DIGI_ME_PAGES: &str = "https://api.digi.me/apps/saas/";

/// A builder of a client for digi.me's API 1.7. Its base URL is `https://api.digi.me/v1.7`.
///
/// For another platform, such as the sandbox, set both its base URL and the address of its pages:
///
/// ```
/// use digime_import::OnboardingUrl;
///
/// let digi_me = digime_import::client().build()?;
/// let local = digime_import::client()
///     .base_url("http://127.0.0.1:8700/v1.7")
///     .extension(OnboardingUrl::new("http://127.0.0.1:8700/apps/saas/")?)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn client() -> ClientBuilder {
    Client::builder().base_url(DIGI_ME_API)
}

/// The address of the pages on which a person consents, which digi.me calls the onboarding app. It is a setting of the client:
/// [`ClientBuilder::extension`](digime::ClientBuilder::extension).
///
/// A client with digi.me's own base URL needs none.
#[derive(Clone, PartialEq, Eq)]
pub struct OnboardingUrl(Url);

/// Why an address is not that of digi.me's pages.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OnboardingUrlError {
    /// It is not a URL.
    #[error("the onboarding URL is malformed: write it as in `https://api.digi.me/apps/saas/`")]
    Malformed(#[source] url::ParseError),
    /// It has userinfo, a query or a fragment.
    #[error(
        "the onboarding URL has userinfo, a query or a fragment: write it as in `https://api.digi.me/apps/saas/`"
    )]
    NotABase,
    /// It is neither https nor http on the loopback.
    #[error(
        "the onboarding URL is neither https nor http on the loopback: a person's browser would send the code readably; for a test network use `OnboardingUrl::dangerously_over_http`"
    )]
    PlainHttp,
}

impl From<OnboardingUrlError> for digime::Error {
    fn from(error: OnboardingUrlError) -> Self {
        Self::extension(error)
    }
}

impl OnboardingUrl {
    /// An address that is https, or http on the loopback. A `/` at its end is added if it is missing.
    ///
    /// # Errors
    /// [`OnboardingUrlError`] says what is wrong with the address.
    pub fn new(url: impl AsRef<str>) -> Result<Self, OnboardingUrlError> {
        let url = base(url.as_ref())?;
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            _ => Err(OnboardingUrlError::PlainHttp),
        }
    }

    /// An address with plain http, for a platform that takes the place of digi.me in a test network. Never use it towards
    /// digi.me: anyone on the way can read what the browser sends.
    ///
    /// # Errors
    /// [`OnboardingUrlError`] says what is wrong with the address.
    pub fn dangerously_over_http(url: impl AsRef<str>) -> Result<Self, OnboardingUrlError> {
        let url = base(url.as_ref())?;
        match url.scheme() {
            "https" | "http" => Ok(Self(url)),
            _ => Err(OnboardingUrlError::PlainHttp),
        }
    }

    /// The pages that belong to a client's platform. An application that asks when it starts learns of a wrong client then, and
    /// not with its first customer.
    ///
    /// ```
    /// use digime_import::OnboardingUrl;
    ///
    /// let client = digime_import::client().build()?;
    /// assert_eq!(OnboardingUrl::of(&client)?.as_url().as_str(), "https://api.digi.me/apps/saas/");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ImportError::PostboxApi`] if the client's base URL is that of API 1.5, [`ImportError::NoOnboardingUrl`] if it is not known
    /// where the pages of its platform are.
    pub fn of(client: &Client) -> Result<Self, ImportError> {
        let base = client.base_url();
        if base.path().trim_end_matches('/').ends_with("/v1.5") {
            return Err(ImportError::PostboxApi);
        }
        if let Some(own) = client.extension::<Self>() {
            return Ok(own.clone());
        }
        if base.origin().ascii_serialization() == DIGI_ME_ORIGIN
            && let Ok(pages) = Url::parse(DIGI_ME_PAGES)
        {
            return Ok(Self(pages));
        }
        Err(ImportError::NoOnboardingUrl)
    }

    /// The address. A content security policy that limits where forms may lead has to allow its origin.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// A page with its query.
    pub(crate) fn page(&self, name: &str, query: &[(&'static str, String)]) -> Url {
        let mut page = self.0.clone();
        page.set_path(&format!("{}{name}", self.0.path()));
        page.query_pairs_mut().extend_pairs(query);
        page
    }
}

fn base(url: &str) -> Result<Url, OnboardingUrlError> {
    let mut url = Url::parse(url).map_err(OnboardingUrlError::Malformed)?;
    let is_bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_bare || url.cannot_be_a_base() {
        return Err(OnboardingUrlError::NotABase);
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl fmt::Debug for OnboardingUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnboardingUrl")
            .field(&self.0.as_str())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_https_or_on_the_loopback() {
        for good in [
            "https://pages.example/saas",
            "http://127.0.0.1:8700/apps/saas/",
            "http://[::1]/",
            "http://localhost:1",
        ] {
            let url = OnboardingUrl::new(good).expect(good);
            assert!(url.0.path().ends_with('/'));
        }
        let plain = OnboardingUrl::new("http://sandbox:8700/apps/saas/");
        assert_eq!(plain, Err(OnboardingUrlError::PlainHttp));
        assert!(OnboardingUrl::dangerously_over_http("http://sandbox:8700/apps/saas/").is_ok());
        for bad in [
            "https://a:b@pages.example/",
            "https://pages.example/?a=b",
            "https://pages.example/#a",
            "mailto:a@b",
        ] {
            assert_eq!(
                OnboardingUrl::new(bad),
                Err(OnboardingUrlError::NotABase),
                "{bad}"
            );
        }
        assert!(matches!(
            OnboardingUrl::new("apps/saas"),
            Err(OnboardingUrlError::Malformed(_))
        ));
    }

    #[test]
    fn a_test_platform_and_the_real_pages_are_never_mixed() {
        let pages = |client: ClientBuilder| OnboardingUrl::of(&client.build().expect("a client"));
        let digi_me = pages(client()).expect("digi.me's pages");
        assert_eq!(digi_me.0.as_str(), DIGI_ME_PAGES);
        let other = client().base_url("https://test.example/v1.7");
        assert_eq!(pages(other.clone()), Err(ImportError::NoOnboardingUrl));
        let own = OnboardingUrl::new("https://test.example/pages/").expect("a URL");
        assert_eq!(pages(other.extension(own.clone())), Ok(own));
        assert_eq!(pages(Client::builder()), Err(ImportError::PostboxApi));
    }
}
