//! Requests that libraries add, in any state.

use serde::de::DeserializeOwned;

use super::Flow;
use super::trace::Trace;
use crate::error::Error;
use crate::platform::request::{Answer, Request};

impl<C, S> Flow<C, S> {
    /// Sends a [`Request`] that a library adds, as the calls of this library are sent.
    ///
    /// If this future is dropped, the request may have been sent and may have taken effect.
    ///
    /// ```
    /// # use digime::{Client, Error, OnceContract};
    /// use digime::error::Operation;
    /// use digime::request::Request;
    ///
    /// # async fn run<C: OnceContract>(contract: C, client: Client) -> Result<(), Error> {
    /// let path = ["permission-access", "contract"];
    /// let request = Request::get(path, Operation::custom("read the contract"));
    /// let contract: serde_json::Value = contract.flow(&client).request(request).await?.json()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Request`] if the request can't be sent as it is described, if nobody signed it, or if the platform was not
    ///   reached or refused.
    /// - [`Error::Item`] if the item that it sends can't be read.
    /// - [`Error::EarlierAttempt`] if the last attempt failed without effect, but an earlier one may have taken effect.
    ///
    /// [`Error::may_have_taken_effect`] says whether the platform may have acted on it.
    pub async fn request(&self, request: Request) -> Result<Answer, Error> {
        let trace = Trace::new(&self.platform, name_of::<S>(), "request");
        trace.of(self.platform.request(&request)).await
    }

    /// Verifies a platform token in an answer to a [`Request`], and returns its claims. Its keys are fetched from the base
    /// URL's origin only, and cached.
    ///
    /// ```
    /// # use digime::{Error, Flow, request::Answer};
    /// #[derive(serde::Deserialize)]
    /// struct Authorized {
    ///     token: String,
    /// }
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Claims {
    ///     preauthorization_code: String,
    /// }
    ///
    /// # async fn run<C>(flow: &Flow<C>, answer: Answer) -> Result<(), Error> {
    /// let authorized: Authorized = answer.json()?;
    /// let claims: Claims = flow.verify(&answer, &authorized.token).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Request`], with [`RequestError::Untrusted`](crate::error::RequestError::Untrusted) if the token is not the
    /// platform's, and `AnswerLost` if its keys can't be fetched.
    pub async fn verify<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        token: &str,
    ) -> Result<T, Error> {
        Ok(self.platform.verify(answer, token).await?)
    }
}

/// The name of a state, without its path and what it is generic over.
fn name_of<S>() -> &'static str {
    let path = std::any::type_name::<S>().split('<').next();
    path.and_then(|path| path.rsplit("::").next())
        .unwrap_or_default()
}
