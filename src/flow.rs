//! The flow: its states, and the calls that lead from one to the next.
//!
//! Each state is a file. A call stands on the states in which it is right; in every other state `wrong_calls` answers
//! it with an error that says what to call instead.

mod authorized;
mod awaiting_callback;
pub(crate) mod contract;
mod destination;
mod doubt;
mod postbox_ready;
mod push_many;
pub mod reasons;
mod refresh;
mod rejected;
mod renewable;
mod session;
pub(crate) mod suspended;
mod trace;
mod unstarted;
mod verifier;
mod wrong_calls;

use std::fmt;
use std::future::Ready;
use std::marker::PhantomData;
use std::time::SystemTime;

use url::Url;

pub use authorized::Authorized;
pub(crate) use authorized::AuthorizedRecord;
pub use awaiting_callback::AwaitingCallback;
pub use postbox_ready::PostboxReady;
pub use push_many::{ManyProgress, PushMany, Pushed};
pub(crate) use refresh::{Demand, Refresher, Sent, send};
pub use rejected::Rejected;
pub(crate) use renewable::Renewable;
pub use session::Session;
pub use unstarted::{CreatePostbox, Unstarted};
pub(crate) use verifier::MaybeVerifier as Announce;
pub use verifier::{NoVerifier, Verifier};

use crate::callback::Callback;
use crate::error::Error;
use crate::platform::{AccessToken, Platform};
use crate::postbox::{Delivery, PostboxItem};
use crate::scope::Scope;
use contract::{Contract, Kind};
#[allow(clippy::wildcard_imports, reason = "all of them stand in the table")]
use reasons::*;
use suspended::Suspended;
pub(crate) use wrong_calls::wrong_calls;

/// A flow under the contract `C`, in the state `S`: what leads from a contract to a postbox that can be pushed to.
///
/// | state | what it has | what comes next |
/// | --- | --- | --- |
/// | [`Unstarted`] | nothing yet | `establish_session`, then `create_postbox` |
/// | [`AwaitingCallback<NoVerifier>`](AwaitingCallback) | the link for the user of a one-off contract | `receive_postbox` |
/// | [`AwaitingCallback<Verifier>`](AwaitingCallback) | the link for the user of an ongoing contract, and the [`Verifier`](crate::Verifier) | `exchange_code` |
/// | [`PostboxReady`] | a postbox | `push` |
/// | [`Authorized`] | a postbox and an access token | `push` |
///
/// A state can be held and wrapped, never made up: it comes from the call that leads to it. A call that fails gives the
/// flow back, in a [`Rejected`].
///
/// A future that is dropped takes the flow with it, if it has it. What was sent by then was sent: a code may be
/// spent, an item delivered. Only a refresh goes on, since the tokens that it brings would be lost.
#[must_use = "a flow does nothing until it is used; each state's documentation says what comes next"]
pub struct Flow<C, S = Unstarted> {
    platform: Platform,
    state: S,
    contract: PhantomData<fn() -> C>,
}

impl<C, S> Flow<C, S> {
    pub(crate) fn in_state(platform: Platform, state: S) -> Self {
        Self {
            platform,
            state,
            contract: PhantomData,
        }
    }

    /// The same flow in another state.
    fn into_state<T>(self, state: T) -> Flow<C, T> {
        Flow::in_state(self.platform, state)
    }
}

impl<C, S: fmt::Debug> fmt::Debug for Flow<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("contract", &self.platform.credentials.contract_id.as_str())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What the right method's future gives; it is named, since an error inside an `async fn` would be told again.
type Later<T> = Ready<T>;

wrong_calls! {
    impl[C, S] Flow<C, S> {
        clone() -> Self where S: CanBeCopied;
    }

    impl[C] Flow<C, Unstarted> {
        url() -> &Url where Unstarted: HasLinkYet;
        consent_access_url() -> &Url where Unstarted: HasLinkYet;
        guest_url() -> &Url where Unstarted: HasLinkYet;
        state() -> &str where Unstarted: HasLinkYet;
        receive_postbox(Callback) -> Result<Flow<C, PostboxReady>, Rejected<Self>> where Unstarted: HasCallbackYet;
        exchange_code(Callback) -> Later<Result<Flow<C, Authorized>, Rejected<Self>>> where Unstarted: HasCallbackYet;
        push(PostboxItem) -> Later<Result<Delivery, Error>> where Unstarted: HasPostboxYet;
        push_many(impl IntoIterator<Item = PostboxItem>) -> PushMany<'_> where Unstarted: HasPostboxYet;
        postbox_id() -> &str where Unstarted: HasPostboxYet;
        access_token() -> AccessToken where Unstarted: HasTokenBeforeTheUserIsAsked;
        access_token_expires_at() -> SystemTime where Unstarted: HasTokenBeforeTheUserIsAsked;
        refresh() -> Later<Result<AccessToken, Error>> where Unstarted: HasTokenBeforeTheUserIsAsked;
        refreshed_token(&AccessToken) -> Later<AccessToken> where Unstarted: HasTokenBeforeTheUserIsAsked;
        suspend() -> Suspended<C, PostboxReady> where Unstarted: HasSomethingToSuspend;
    }

    impl[C, V] Flow<C, AwaitingCallback<V>> {
        establish_session() -> Later<Result<Session<C>, Error>> where AwaitingCallback<V>: AsksForAnotherPostbox;
        establish_session_with(&Scope) -> Later<Result<Session<C>, Error>> where AwaitingCallback<V>: AsksForAnotherPostbox;
    }

    impl[C: Contract<Kind = K>, V, K: Kind] Flow<C, AwaitingCallback<V>> {
        create_postbox(Session<C>) -> CreatePostbox<C, K::Verifier> where AwaitingCallback<V>: AsksForAnotherPostbox;
    }

    impl[C] Flow<C, AwaitingCallback<NoVerifier>> {
        exchange_code(Callback) -> Later<Result<Flow<C, Authorized>, Rejected<Self>>> where AwaitingCallback<NoVerifier>: HasCodeToExchange;
        push(PostboxItem) -> Later<Result<Delivery, Error>> where AwaitingCallback<NoVerifier>: HasReceivedThePostbox;
        push_many(impl IntoIterator<Item = PostboxItem>) -> PushMany<'_> where AwaitingCallback<NoVerifier>: HasReceivedThePostbox;
        postbox_id() -> &str where AwaitingCallback<NoVerifier>: HasReceivedThePostbox;
        access_token() -> AccessToken where AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
        access_token_expires_at() -> SystemTime where AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
        refresh() -> Later<Result<AccessToken, Error>> where AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
        refreshed_token(&AccessToken) -> Later<AccessToken> where AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
    }

    impl[C] Flow<C, AwaitingCallback<Verifier>> {
        receive_postbox(Callback) -> Result<Flow<C, PostboxReady>, Rejected<Self>> where AwaitingCallback<Verifier>: TakesThePostboxAlone;
        push(PostboxItem) -> Later<Result<Delivery, Error>> where AwaitingCallback<Verifier>: HasExchangedTheCode;
        push_many(impl IntoIterator<Item = PostboxItem>) -> PushMany<'_> where AwaitingCallback<Verifier>: HasExchangedTheCode;
        postbox_id() -> &str where AwaitingCallback<Verifier>: HasExchangedTheCode;
        access_token() -> AccessToken where AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
        access_token_expires_at() -> SystemTime where AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
        refresh() -> Later<Result<AccessToken, Error>> where AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
        refreshed_token(&AccessToken) -> Later<AccessToken> where AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
    }

    impl[C] Flow<C, PostboxReady> {
        establish_session() -> Later<Result<Session<C>, Error>> where PostboxReady: AsksAgain;
        establish_session_with(&Scope) -> Later<Result<Session<C>, Error>> where PostboxReady: AsksAgain;
        url() -> &Url where PostboxReady: AwaitsAnotherCallback;
        consent_access_url() -> &Url where PostboxReady: AwaitsAnotherCallback;
        guest_url() -> &Url where PostboxReady: AwaitsAnotherCallback;
        state() -> &str where PostboxReady: AwaitsAnotherCallback;
        receive_postbox(Callback) -> Result<Flow<C, PostboxReady>, Rejected<Self>> where PostboxReady: AwaitsAnotherCallback;
        exchange_code(Callback) -> Later<Result<Flow<C, Authorized>, Rejected<Self>>> where PostboxReady: AwaitsAnotherCallback;
        access_token() -> AccessToken where PostboxReady: HasTokenWhenReady;
        access_token_expires_at() -> SystemTime where PostboxReady: HasTokenWhenReady;
        refresh() -> Later<Result<AccessToken, Error>> where PostboxReady: HasTokenWhenReady;
        refreshed_token(&AccessToken) -> Later<AccessToken> where PostboxReady: HasTokenWhenReady;
    }

    impl[C: Contract<Kind = K>, K: Kind] Flow<C, PostboxReady> {
        create_postbox(Session<C>) -> CreatePostbox<C, K::Verifier> where PostboxReady: AsksAgain;
    }

    impl[C] Flow<C, Authorized> {
        establish_session() -> Later<Result<Session<C>, Error>> where Authorized: AsksAgainWhenAuthorized;
        establish_session_with(&Scope) -> Later<Result<Session<C>, Error>> where Authorized: AsksAgainWhenAuthorized;
        url() -> &Url where Authorized: AwaitsAnotherCallbackWhenAuthorized;
        consent_access_url() -> &Url where Authorized: AwaitsAnotherCallbackWhenAuthorized;
        guest_url() -> &Url where Authorized: AwaitsAnotherCallbackWhenAuthorized;
        state() -> &str where Authorized: AwaitsAnotherCallbackWhenAuthorized;
        receive_postbox(Callback) -> Result<Flow<C, PostboxReady>, Rejected<Self>> where Authorized: AwaitsAnotherCallbackWhenAuthorized;
        exchange_code(Callback) -> Later<Result<Flow<C, Authorized>, Rejected<Self>>> where Authorized: AwaitsAnotherCallbackWhenAuthorized;
    }

    impl[C: Contract<Kind = K>, K: Kind] Flow<C, Authorized> {
        create_postbox(Session<C>) -> CreatePostbox<C, K::Verifier> where Authorized: AsksAgainWhenAuthorized;
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;

    #[test]
    fn a_state_costs_what_it_holds_and_a_contract_nothing() {
        struct Large {
            _private: [u8; 1000],
        }
        assert_eq!(size_of::<Flow<Large, Unstarted>>(), size_of::<Platform>());
        assert_eq!(
            size_of::<Flow<Large, PostboxReady>>(),
            size_of::<Platform>() + size_of::<PostboxReady>()
        );
        assert_eq!(
            size_of::<Flow<Large, AwaitingCallback<Verifier>>>(),
            size_of::<Flow<Large, AwaitingCallback<NoVerifier>>>() + size_of::<Verifier>()
        );
        assert_eq!(
            size_of::<Rejected<Flow<Large, Authorized>>>(),
            size_of::<usize>()
        );
    }
}
