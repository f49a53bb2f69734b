//! The links that open the user's digi.me client or a browser.

use url::{Url, form_urlencoded};

use crate::contract::{ApplicationId, ContractId};
use crate::internal::InternalError;

/// The version that deep links and the session request tell digi.me.
pub(crate) const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The link that makes the user's digi.me client import what waits in the postbox.
///
/// ```
/// assert_eq!(digime::import_url().as_str(), "digime://postbox/import");
/// ```
#[doc(alias = "getPostboxImportUrl")]
#[must_use]
pub fn import_url() -> Url {
    link("postbox/import", &[])
}

/// The link that shows the user the receipt of their consent to a contract, in digi.me.
pub(crate) fn receipt_url(contract: &ContractId, application: &ApplicationId) -> Url {
    let ids = [
        ("contractId", contract.as_str()),
        ("appId", application.as_str()),
    ];
    link("receipt", &ids)
}

/// What a deep link asks the user to consent to.
#[derive(Clone, Copy)]
pub(crate) enum ConsentRequest {
    /// A postbox.
    CreatePostbox,
    /// A private share: the application reads data.
    ConsentAccess,
}

/// The parameters of a deep link that asks for consent.
pub(crate) struct Consent<'a> {
    pub preauthorization_code: Option<&'a str>,
    pub callback_url: &'a str,
    pub session_key: &'a str,
    pub application_id: &'a str,
    pub sdk_version: &'a str,
}

impl Consent<'_> {
    /// The deep link for the user's client. Its parameters have the order of digi.me's own SDK.
    pub(crate) fn link(&self, request: ConsentRequest) -> Url {
        let path = match request {
            ConsentRequest::CreatePostbox => "postbox/create",
            ConsentRequest::ConsentAccess => "consent-access",
        };
        let code = self
            .preauthorization_code
            .map(|code| ("preauthorizationCode", code));
        let others = [
            ("callbackUrl", self.callback_url),
            ("sessionKey", self.session_key),
            ("appId", self.application_id),
            ("sdkVersion", self.sdk_version),
        ];
        link(path, &code.into_iter().chain(others).collect::<Vec<_>>())
    }
}

/// The page of the platform on which a guest consents in a browser.
pub(crate) fn guest(
    base: &Url,
    session_exchange_token: &str,
    callback_url: &str,
) -> Result<Url, InternalError> {
    let mut url = base
        .join("/apps/quark/v1/direct-onboarding")
        .map_err(|_| InternalError("writing a guest link"))?;
    url.query_pairs_mut()
        .append_pair("sessionExchangeToken", session_exchange_token)
        .append_pair("callbackUrl", callback_url);
    Ok(url)
}

fn link(path: &str, parameters: &[(&str, &str)]) -> Url {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    let separator = if query.is_empty() { "" } else { "?" };
    Url::parse(&format!("digime://{path}{separator}{query}"))
        .expect("a constant path and an encoded query are a URL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;

    #[test]
    fn deep_links_equal_those_of_the_node_sdk() {
        for vector in vectors::deep_links() {
            let consent = Consent {
                preauthorization_code: None,
                callback_url: &vector.callback_url,
                session_key: &vector.session.session_key,
                application_id: &vector.application_id,
                sdk_version: "4.0.0",
            };
            assert_eq!(
                consent.link(ConsentRequest::CreatePostbox).as_str(),
                vector.create_postbox
            );
            assert_eq!(
                consent.link(ConsentRequest::ConsentAccess).as_str(),
                vector.private_share
            );
        }
    }

    #[test]
    fn a_preauthorization_code_comes_first() {
        let consent = Consent {
            preauthorization_code: Some("a b"),
            callback_url: "https://a.example",
            session_key: "k",
            application_id: "app",
            sdk_version: "1",
        };
        assert_eq!(
            consent.link(ConsentRequest::CreatePostbox).as_str(),
            "digime://postbox/create?preauthorizationCode=a+b&callbackUrl=https%3A%2F%2Fa.example&sessionKey=k&appId=app&sdkVersion=1"
        );
    }

    #[test]
    fn a_guest_link_has_the_origin_of_the_base_url() {
        let base = Url::parse("https://api.digi.me:8443/v1.5").expect("a URL");
        let url = guest(&base, "t/1", "https://a.example/?b=c").expect("a link");
        assert_eq!(
            url.as_str(),
            "https://api.digi.me:8443/apps/quark/v1/direct-onboarding?sessionExchangeToken=t%2F1&callbackUrl=https%3A%2F%2Fa.example%2F%3Fb%3Dc"
        );
    }
}
