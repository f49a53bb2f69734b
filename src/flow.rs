//! The flow: its states, and the calls that lead from one to the next.
//!
//! Each state has a file, with the methods that are right in it. The table below lists the states in which each method is
//! wrong: there the compiler prints a message of [`reasons`], which says what to call instead.

mod authorized;
mod awaiting_callback;
pub(crate) mod contract;
mod destination;
mod doubt;
pub(crate) mod extension;
pub(crate) mod grant;
mod postbox_ready;
mod push_many;
pub mod reasons;
pub(crate) mod received_consent;
mod refresh;
mod rejected;
mod renewable;
mod request;
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
pub use awaiting_callback::AwaitingCallback;
pub use postbox_ready::PostboxReady;
pub use push_many::{ManyProgress, PushMany, Pushed, Pushes};
pub(crate) use refresh::{Demand, Refresher, Sent, send};
pub use rejected::Rejected;
pub(crate) use renewable::Renewable;
pub use session::Session;
pub(crate) use trace::Trace;
pub use unstarted::{CreatePostbox, Unstarted};
pub(crate) use verifier::MaybeVerifier;
pub use verifier::{NoVerifier, Verifier};

use crate::callback::Callback;
use crate::error::Error;
use crate::platform::client::Client;
use crate::platform::{AccessToken, Platform};
use crate::postbox::{Delivery, PostboxItem};
use crate::scope::Scope;
use extension::ExtensionState;
use extension::explained::{Explained, Offers, explained_calls};
#[allow(clippy::wildcard_imports, reason = "the table uses all of them")]
use reasons::*;
use suspended::{Durable, Suspended};
pub(crate) use wrong_calls::wrong_calls;

/// A flow under the contract `C`, in the state `S`. It leads from a contract to a postbox that items can be pushed to.
///
/// | state | what it has | what comes next |
/// | --- | --- | --- |
/// | [`Unstarted`] | nothing yet | `establish_session`, then `create_postbox` |
/// | [`AwaitingCallback<NoVerifier>`](AwaitingCallback) | the link for the user of a one-off contract | `receive_postbox` |
/// | [`AwaitingCallback<Verifier>`](AwaitingCallback) | the link for the user of an ongoing contract, and the [`Verifier`](crate::Verifier) | `exchange_code` |
/// | [`PostboxReady`] | a postbox | `push` |
/// | [`Authorized`] | a postbox and an access token | `push` |
///
/// A state can be stored and wrapped, but nobody can make one up: it comes from the call that leads to it. A call that
/// fails gives the flow back, in a [`Rejected`].
///
/// Dropping a future drops the flow that it has consumed. What was sent may have taken effect: a code may be spent, an
/// item delivered. Only exchanges and refreshes run on without their future, since their tokens would be lost.
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
    fn with_state<T>(self, state: T) -> Flow<C, T> {
        Flow::in_state(self.platform, state)
    }
}

impl<C, S> Flow<C, S> {
    /// The client that the flow was begun with.
    ///
    /// ```
    /// # use digime::{Authorized, Flow};
    /// # fn run<C>(flow: &Flow<C, Authorized>) {
    /// println!("talking to {}", flow.client().base_url());
    /// # }
    /// ```
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.platform.client
    }

    /// Continues the flow in a state that a library defines. The state may hold the flow, so that nothing is lost.
    ///
    /// ```
    /// # use digime::extend::ExtensionState;
    /// # use digime::{Authorized, Flow};
    /// # struct Paused<C> { flow: Flow<C, Authorized> }
    /// # impl<C> ExtensionState for Paused<C> {}
    /// fn pause<C>(authorized: Flow<C, Authorized>) -> Flow<C, Paused<C>> {
    ///     authorized.extend(|flow| Paused { flow })
    /// }
    /// ```
    #[must_use = "the flow is in the new state"]
    pub fn extend<T: ExtensionState>(self, state: impl FnOnce(Self) -> T) -> Flow<C, T> {
        let platform = self.platform.clone();
        Flow::in_state(platform, state(self))
    }
}

impl<C, S> Flow<C, S> {
    /// Another flow under the same contract, in a state that a library defines. This flow stays as it is.
    ///
    /// ```
    /// # use digime::extend::ExtensionState;
    /// # use digime::{Authorized, Flow};
    /// # struct Invited { friend: String }
    /// # impl ExtensionState for Invited {}
    /// fn invite<C>(authorized: &Flow<C, Authorized>, friend: String) -> Flow<C, Invited> {
    ///     authorized.branch(Invited { friend })
    /// }
    /// ```
    #[must_use = "the other flow is in the new state"]
    pub fn branch<T: ExtensionState>(&self, state: T) -> Flow<C, T> {
        Flow::in_state(self.platform.clone(), state)
    }

    /// The state, with what its library offers on it.
    ///
    /// ```
    /// # use digime::extend::ExtensionState;
    /// # use digime::{Authorized, Flow};
    /// # struct Paused<C> { flow: Flow<C, Authorized> }
    /// # impl<C> ExtensionState for Paused<C> {}
    /// fn postbox<C>(paused: &Flow<C, Paused<C>>) -> &str {
    ///     paused.as_state().flow.postbox_id()
    /// }
    /// ```
    pub fn as_state(&self) -> &S
    where
        S: ExtensionState,
    {
        &self.state
    }

    /// The state, which its library takes apart.
    ///
    /// ```
    /// # use digime::extend::ExtensionState;
    /// # use digime::{Authorized, Flow};
    /// # struct Paused<C> { flow: Flow<C, Authorized> }
    /// # impl<C> ExtensionState for Paused<C> {}
    /// fn resume<C>(paused: Flow<C, Paused<C>>) -> Flow<C, Authorized> {
    ///     paused.into_state().flow
    /// }
    /// ```
    pub fn into_state(self) -> S
    where
        S: ExtensionState,
    {
        self.state
    }
}

impl<C, S: ExtensionState + Durable> Flow<C, S> {
    /// Turns the flow into serde data, as every state that is [`Durable`] can be.
    ///
    /// ```
    /// # use digime::extend::ExtensionState;
    /// # use digime::suspended::Durable;
    /// # use digime::{Error, Flow};
    /// fn as_row<C, S: ExtensionState + Durable>(flow: &Flow<C, S>) -> Result<String, Error> {
    ///     Ok(flow.suspend().to_json()?)
    /// }
    /// ```
    pub fn suspend(&self) -> Suspended<C, S> {
        let suspended = Suspended::new(&self.platform.credentials, self.state.record());
        let Some(ends) = suspended.expires_at() else {
            return suspended;
        };
        // The end is by the platform's clock, from which this machine's may differ.
        let left = ends.duration_since(self.platform.client.platform_clock());
        suspended.ending_in(left.unwrap_or_default())
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

wrong_calls! {
    clone(&self) -> Self {
        S: CanBeCloned for any S;
    }

    establish_session(&self) -> Ready<Result<Session<C>, Error>> {
        AwaitingCallback<V>: AsksForAnotherPostbox for any V;
        PostboxReady: AsksAgain;
        Authorized: AsksAgain;
    }

    establish_session_with(&self, _: &Scope) -> Ready<Result<Session<C>, Error>> {
        AwaitingCallback<V>: AsksForAnotherPostbox for any V;
        PostboxReady: AsksAgain;
        Authorized: AsksAgain;
    }

    create_postbox(&self, _: Session<C>) -> CreatePostbox<C, V> {
        AwaitingCallback<V>: AsksForAnotherPostbox for any V;
    } -> CreatePostbox<C, NoVerifier> {
        PostboxReady: AsksAgain;
    } -> CreatePostbox<C, Verifier> {
        Authorized: AsksAgain;
    }

    url(&self) -> &Url {
        Unstarted: HasLinkYet;
        PostboxReady: AwaitsAnotherCallback;
        Authorized: AwaitsAnotherCallbackWhenAuthorized;
    }

    consent_access_url(&self) -> &Url {
        Unstarted: HasLinkYet;
        PostboxReady: AwaitsAnotherCallback;
        Authorized: AwaitsAnotherCallbackWhenAuthorized;
    }

    guest_url(&self) -> &Url {
        Unstarted: HasLinkYet;
        PostboxReady: AwaitsAnotherCallback;
        Authorized: AwaitsAnotherCallbackWhenAuthorized;
    }

    state(&self) -> &str {
        Unstarted: HasLinkYet;
        PostboxReady: AwaitsAnotherCallback;
        Authorized: AwaitsAnotherCallbackWhenAuthorized;
    }

    receive_postbox(&self, _: Callback) -> Result<Flow<C, PostboxReady>, Rejected<Self>> {
        Unstarted: HasCallbackYet;
        AwaitingCallback<Verifier>: ReceivesPostboxWithoutCode;
        PostboxReady: AwaitsAnotherCallback;
        Authorized: AwaitsAnotherCallbackWhenAuthorized;
    }

    exchange_code(&self, _: Callback) -> Ready<Result<Flow<C, Authorized>, Rejected<Self>>> {
        Unstarted: HasCallbackYet;
        AwaitingCallback<NoVerifier>: HasCodeToExchange;
        PostboxReady: AwaitsAnotherCallback;
        Authorized: AwaitsAnotherCallbackWhenAuthorized;
    }

    push(&self, _: PostboxItem) -> Ready<Result<Delivery, Error>> {
        Unstarted: HasPostboxYet;
        AwaitingCallback<NoVerifier>: HasReceivedThePostbox;
        AwaitingCallback<Verifier>: HasExchangedTheCode;
    }

    push_many(&self, _: impl IntoIterator<Item = PostboxItem>) -> PushMany<'_> {
        Unstarted: HasPostboxYet;
        AwaitingCallback<NoVerifier>: HasReceivedThePostbox;
        AwaitingCallback<Verifier>: HasExchangedTheCode;
    }

    postbox_id(&self) -> &str {
        Unstarted: HasPostboxYet;
        AwaitingCallback<NoVerifier>: HasReceivedThePostbox;
        AwaitingCallback<Verifier>: HasExchangedTheCode;
    }

    access_token(&self) -> AccessToken {
        Unstarted: HasTokenBeforeTheUserIsAsked;
        AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
        AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
        PostboxReady: HasTokenWhenReady;
    }

    valid_access_token(&self) -> Ready<Result<AccessToken, Error>> {
        Unstarted: HasTokenBeforeTheUserIsAsked;
        AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
        AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
        PostboxReady: HasTokenWhenReady;
    }

    replace_access_token(&self, _: &AccessToken) -> Ready<Result<AccessToken, Error>> {
        Unstarted: HasTokenBeforeTheUserIsAsked;
        AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
        AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
        PostboxReady: HasTokenWhenReady;
    }

    access_token_expires_at(&self) -> SystemTime {
        Unstarted: HasTokenBeforeTheUserIsAsked;
        AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
        AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
        PostboxReady: HasTokenWhenReady;
    }

    refresh(&self) -> Ready<Result<AccessToken, Error>> {
        Unstarted: HasTokenBeforeTheUserIsAsked;
        AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
        AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
        PostboxReady: HasTokenWhenReady;
    }

    refreshed_token(&self, _: &AccessToken) -> Ready<AccessToken> {
        Unstarted: HasTokenBeforeTheUserIsAsked;
        AwaitingCallback<NoVerifier>: HasTokenWithoutCode;
        AwaitingCallback<Verifier>: HasTokenBeforeTheExchange;
        PostboxReady: HasTokenWhenReady;
    }

    suspend(&self) -> Suspended<C, PostboxReady> {
        Unstarted: HasSomethingToSuspend;
    }
}

explained_calls! {
    establish_session(&self) -> Ready<Result<Session<C>, Error>>: Offers<call::establish_session>;
    establish_session_with(&self, _: &Scope) -> Ready<Result<Session<C>, Error>>: Offers<call::establish_session_with>;
    create_postbox(&self, _: Session<C>) -> CreatePostbox<C, Verifier>: Offers<call::create_postbox>;
    url(&self) -> &Url: Offers<call::url>;
    consent_access_url(&self) -> &Url: Offers<call::consent_access_url>;
    guest_url(&self) -> &Url: Offers<call::guest_url>;
    state(&self) -> &str: Offers<call::state>;
    receive_postbox(&self, _: Callback) -> Result<Flow<C, PostboxReady>, Rejected<Self>>: Offers<call::receive_postbox>;
    exchange_code(&self, _: Callback) -> Ready<Result<Flow<C, Authorized>, Rejected<Self>>>: Offers<call::exchange_code>;
    push(&self, _: PostboxItem) -> Ready<Result<Delivery, Error>>: Offers<call::push>;
    push_many(&self, _: impl IntoIterator<Item = PostboxItem>) -> PushMany<'_>: Offers<call::push_many>;
    postbox_id(&self) -> &str: Offers<call::postbox_id>;
    access_token(&self) -> AccessToken: Offers<call::access_token>;
    access_token_expires_at(&self) -> SystemTime: Offers<call::access_token_expires_at>;
    valid_access_token(&self) -> Ready<Result<AccessToken, Error>>: Offers<call::valid_access_token>;
    replace_access_token(&self, _: &AccessToken) -> Ready<Result<AccessToken, Error>>: Offers<call::replace_access_token>;
    refresh(&self) -> Ready<Result<AccessToken, Error>>: Offers<call::refresh>;
    refreshed_token(&self, _: &AccessToken) -> Ready<AccessToken>: Offers<call::refreshed_token>;
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
