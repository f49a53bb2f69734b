//! The network, through the HTTP client that digime makes or the application's own.

use async_trait::async_trait;

use super::{Body, Transport, TransportError};

/// An HTTP client that digime has made, so that it follows no redirection.
pub(crate) struct Network(pub(crate) reqwest::Client);

#[async_trait]
impl Transport for Network {
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError> {
        execute(&self.0, request.map(Body::into_inner)).await
    }
}

/// An HTTP client that the application has made.
pub(crate) struct SharedNetwork(pub(crate) reqwest::Client);

#[async_trait]
impl Transport for SharedNetwork {
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError> {
        // A client can be set up to send a request again, which would spend a code or a token. A stream can't be sent again.
        execute(&self.0, request.map(reqwest::Body::wrap)).await
    }
}

async fn execute(
    client: &reqwest::Client,
    request: http::Request<reqwest::Body>,
) -> Result<http::Response<Body>, TransportError> {
    let sent = async { client.execute(request.try_into()?).await }.await;
    let response = sent.map_err(|error: reqwest::Error| TransportError::of(error.into()))?;
    let response: http::Response<reqwest::Body> = response.into();
    Ok(response.map(Body::from_inner))
}

/// Whether an HTTP client may follow redirections.
///
/// `reqwest` has no method that tells, and a request can't forbid it. But `Debug` shows the policy, and a header's or a
/// proxy's text can't imitate it, since quotes are escaped in these. If a later version shows it otherwise, the client
/// counts as one that follows.
pub(crate) fn follows_redirections(client: &reqwest::Client) -> bool {
    !format!("{client:?}").contains(r#"redirect_policy: "Policy(None)""#)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use reqwest::redirect::Policy;

    use super::*;

    #[test]
    fn only_a_client_that_follows_no_redirections_is_recognised_as_such() {
        let client = |policy| {
            let text = HeaderValue::from_static(r#"redirect_policy: "Policy(None)""#);
            let headers = HeaderMap::from_iter([(reqwest::header::ACCEPT, text)]);
            let client = reqwest::Client::builder().default_headers(headers);
            client.redirect(policy).build().expect("a client")
        };
        assert!(!follows_redirections(&client(Policy::none())));
        for policy in [
            Policy::default(),
            Policy::limited(1),
            Policy::limited(0),
            Policy::custom(|attempt| Policy::none().redirect(attempt)),
        ] {
            let shown = format!("{policy:?}");
            assert!(follows_redirections(&client(policy)), "{shown}");
        }
        assert!(follows_redirections(&reqwest::Client::new()));
    }
}
