//! The calls of the flow, the states in which each is right or wrong, and why.

pub mod reasons;

use digime::push::PushMany;
// This `exchange_code` consumes the flow, so it hides that of a postbox in the states in which that is wrong.
use digime::reasons::{
    AwaitsAnotherCallback, AwaitsAnotherCallbackWhenAuthorized, HasCallbackYet, HasCodeToExchange,
};
use digime::url::Url;
use digime::{
    AccessToken, Authorized, AwaitingCallback, Callback, Delivery, Error, Flow, NoVerifier,
    PostboxItem, PostboxReady, Rejected, Unstarted as PostboxUnstarted, Verifier, tokens,
};

use crate::authorization;
use crate::consent::into_consent;
use crate::deletion::delete_user;
use crate::push::{push, push_many, push_to_provider};
use crate::{
    AwaitingConsent, Connected, Consent, ConsentOptions, Lapsed, ProviderAccount, RenewalOptions,
    Unstarted,
};

#[allow(clippy::wildcard_imports, reason = "the table uses all of them")]
use reasons::*;

digime::calls! {
    /// The calls of flows that push by import. Import it to call them.
    pub trait ImportFlow<C> {
        /// Asks for the person's consent: makes the page of digi.me on which the person consents, [`url`](Self::url).
        ///
        /// This sends an authorization request with the challenge of a new verifier (RFC 7636, section 4.3). Each flow has a new
        /// `state`, which shows that a callback belongs to this flow (RFC 6749, section 10.12).
        ///
        /// # Errors
        /// - [`Error::Extension`] with an [`ImportError`](crate::ImportError) if the client is not for API 1.7. Nothing was sent.
        /// - [`Error::Request`] if the platform was not reached or refused.
        ///
        /// [`Rejected`] gives the flow back.
        async fn authorize(self) -> Result<Flow<C, AwaitingConsent<Verifier>>, Rejected<Self>>
        where
            Self: CanAuthorize<C>,
        {
            Unstarted => authorize;
            AwaitingConsent<V>: AsksForAnotherConsent, for any V;
            Connected: AsksWhenConnected;
            Lapsed: AsksWhenLapsed;
            PostboxUnstarted: PushesByImport;
            AwaitingCallback<V>: PushesByImportWhileWaiting, for any V;
            PostboxReady: PushesByImportWhenReady;
            Authorized: PushesByImportWhenAuthorized;
            _:  "cannot authorize: `{Self}` is no flow that pushes by import",
                "only a flow of a contract of the kind `Import` is authorized",
                "begin a flow under a contract that is `#[digime_contract(kind = Import)]`, `contract.flow(&client)`, or in generic code `Import::begin(contract.flow(&client))`";
        }

        /// Asks for the person's consent, with options, as [`authorize`](Self::authorize) does.
        ///
        /// # Errors
        /// As [`authorize`](Self::authorize).
        async fn authorize_with(self, options: ConsentOptions) -> Result<Flow<C, AwaitingConsent<Verifier>>, Rejected<Self>>
        where
            Self: CanAuthorizeWith<C>,
        {
            Unstarted => authorize_with;
            AwaitingConsent<V>: AsksForAnotherConsent, for any V;
            Connected: AsksWhenConnected;
            Lapsed: AsksWhenLapsed;
            PostboxUnstarted: PushesByImport;
            AwaitingCallback<V>: PushesByImportWhileWaiting, for any V;
            PostboxReady: PushesByImportWhenReady;
            Authorized: PushesByImportWhenAuthorized;
            _:  "cannot authorize: `{Self}` is no flow that pushes by import",
                "only a flow of a contract of the kind `Import` is authorized",
                "begin a flow under a contract that is `#[digime_contract(kind = Import)]`, `contract.flow(&client)`, or in generic code `Import::begin(contract.flow(&client))`";
        }

        /// The page of digi.me on which the person consents. Redirect the person's browser there.
        fn url(&self) -> &Url
        where
            Self: HasUrl<C>,
        {
            AwaitingConsent<V> => url, for any V;
            Unstarted: HasPageYet;
            Connected: HasPageWhenConnected;
            Lapsed: HasPageWhenLapsed;
            _:  "there is no page: `{Self}` does not wait for a person",
                "only a flow that waits for consent has a page",
                "ask for consent first: `let awaiting = flow.authorize().await?;`";
        }

        /// The `state` of the callback that belongs to this flow. The application finds the flow again by it. It can't be guessed.
        fn state(&self) -> &str
        where
            Self: HasState<C>,
        {
            AwaitingConsent<V> => state, for any V;
            Unstarted: HasPageYet;
            Connected: HasPageWhenConnected;
            Lapsed: HasPageWhenLapsed;
            _:  "there is no `state`: `{Self}` does not wait for a person",
                "only a flow that waits for consent has a `state`",
                "ask for consent first: `let awaiting = flow.authorize().await?;`";
        }

        /// Exchanges the callback's code, with the flow's verifier, for tokens (RFC 7636, section 4.5).
        ///
        /// A code can be exchanged once. The exchange continues if this future is dropped or times out.
        ///
        /// # Errors
        /// - [`Error::Callback`] if the callback is not a valid answer to this flow, or the person has not consented
        ///   ([`CallbackError::NotConsented`](digime::error::CallbackError::NotConsented)). Nothing was sent.
        /// - [`Error::Request`] if the platform was not reached or refused. [`Error::may_have_taken_effect`] is true if the code may
        ///   be spent, because the answer was lost.
        /// - [`Error::Extension`] with [`ImportError::AnotherPerson`](crate::ImportError::AnotherPerson) if the consent was to be
        ///   renewed and another person has consented.
        ///
        /// [`Rejected`] gives the flow back, verifier included.
        async fn exchange_code(self, callback: Callback) -> Result<Flow<C, Connected>, Rejected<Self>>
        where
            Self: CanExchangeTheCode<C>,
        {
            AwaitingConsent<Verifier> => tokens::exchange_code;
            Unstarted: HasCodeYet;
            Connected: AwaitsNoMoreCallbacks;
            Lapsed: HasCodeWhenLapsed;
            PostboxUnstarted: HasCallbackYet;
            AwaitingCallback<NoVerifier>: HasCodeToExchange;
            PostboxReady: AwaitsAnotherCallback;
            Authorized: AwaitsAnotherCallbackWhenAuthorized;
            _:  "cannot exchange a code: `{Self}` does not wait for one",
                "only a flow that waits for consent has a verifier",
                "ask for consent first: `let awaiting = flow.authorize().await?;`";
        }

        /// Pushes an item into the person's library. Any number of pushes may run at once. If the access token has expired, it is
        /// refreshed once for all of them.
        ///
        /// The item is sent as it is, under TLS, and not encrypted by this library. Its name is not sent: put what matters of it into
        /// a reference or a tag. It must have an account, which is the application's own id of the person. Each attempt reads the
        /// item again. A transient failure is retried if the item can be read again. If the answer to an attempt was lost, the item
        /// may arrive twice.
        ///
        /// # Errors
        /// - [`Error::Extension`] with an [`ImportError`](crate::ImportError) if the item can't be described. Nothing was sent.
        /// - [`Error::Item`] if the item can't be read or sent.
        /// - [`Error::ConsentEnded`] if the person has to consent again: [`into_consent`](Self::into_consent), then
        ///   [`reauthorize`](Self::reauthorize).
        /// - [`Error::Request`], [`Error::EarlierAttempt`], [`Error::RefreshInDoubt`] and [`Error::Store`] as for a push to a
        ///   postbox.
        async fn push(&self, item: PostboxItem) -> Result<Delivery, Error>
        where
            Self: CanPush<C>,
        {
            Connected => push;
            Unstarted: HasConsentToPush;
            AwaitingConsent<V>: HasExchangedTheCode, for any V;
            Lapsed: PushesWhenLapsed;
            _:  "cannot push: `{Self}` is not connected",
                "only a connected flow pushes",
                "exchange the code first: `let connected = awaiting.exchange_code(callback).await?;`";
        }

        /// Pushes many items, some at a time, and yields the results as they come.
        fn push_many(&self, items: impl IntoIterator<Item = PostboxItem, IntoIter: Send + 'static>) -> PushMany<'_>
        where
            Self: CanPushMany<C>,
        {
            Connected => push_many;
            Unstarted: HasConsentToPush;
            AwaitingConsent<V>: HasExchangedTheCode, for any V;
            Lapsed: PushesWhenLapsed;
            _:  "cannot push: `{Self}` is not connected",
                "only a connected flow pushes",
                "exchange the code first: `let connected = awaiting.exchange_code(callback).await?;`";
        }

        /// Pushes a FHIR resource to a provider of care (MedMij only). The consent must have been asked for with
        /// [`ConsentOptions::to_provider`].
        ///
        /// The resource is the JSON object that the item's bytes are. The item's name, media type, accounts, references and tags are
        /// not sent.
        ///
        /// # Errors
        /// As [`push`](Self::push).
        async fn push_to_provider(&self, account: ProviderAccount, resource: PostboxItem) -> Result<Delivery, Error>
        where
            Self: CanPushToAProvider<C>,
        {
            Connected => push_to_provider;
            Unstarted: HasConsentToPush;
            AwaitingConsent<V>: HasExchangedTheCode, for any V;
            Lapsed: PushesWhenLapsed;
            PostboxUnstarted: PushesByImport;
            AwaitingCallback<V>: PushesByImportWhileWaiting, for any V;
            PostboxReady: PushesByImportWhenReady;
            Authorized: PushesByImportWhenAuthorized;
            _:  "cannot push: `{Self}` is not connected",
                "only a connected flow pushes",
                "exchange the code first: `let connected = awaiting.exchange_code(callback).await?;`";
        }

        /// Refreshes the access token now (RFC 6749, section 6). A push refreshes it when needed. The consent ends when it would have
        /// ended.
        ///
        /// # Errors
        /// - [`Error::ConsentEnded`] if the person has to consent again.
        /// - [`Error::Request`] if the platform was not reached or refused.
        /// - [`Error::Store`] if the tokens are shared, and the store failed or another machine is still refreshing them.
        async fn refresh(&self) -> Result<AccessToken, Error>
        where
            Self: CanRefresh<C>,
        {
            Connected => refresh;
            Unstarted: HasTokenYet;
            AwaitingConsent<V>: HasTokenBeforeTheExchange, for any V;
            Lapsed: HasTokenWhenLapsed;
            _:  "cannot refresh: `{Self}` is not connected",
                "only a connected flow has tokens",
                "exchange the code first: `let connected = awaiting.exchange_code(callback).await?;`";
        }

        /// Shows whether the consent lasts: by its end, and by what the platform said at the last refresh. Nothing is sent.
        fn into_consent(self) -> Consent<C>
        where
            Self: HasConsent<C>,
        {
            Connected => into_consent;
            Unstarted: HasConsentYet;
            AwaitingConsent<V>: HasConsentBeforeTheExchange, for any V;
            Lapsed: HasConsentWhenLapsed;
            PostboxUnstarted: PushesByImport;
            AwaitingCallback<V>: PushesByImportWhileWaiting, for any V;
            PostboxReady: PushesByImportWhenReady;
            Authorized: PushesByImportWhenAuthorized;
            _:  "there is no consent to look at: `{Self}` is not connected",
                "only a connected flow has a consent",
                "exchange the code first: `let connected = awaiting.exchange_code(callback).await?;`";
        }

        /// Asks the same person to renew the consent, before or after its end: makes the page on which the person does so.
        ///
        /// The flow is only borrowed, so a consent that still lasts can be used meanwhile. Keep the result as the first one was kept:
        /// park it with the same user's data. The new tokens then take the place of the old ones, with what the application attached,
        /// and what waits in the outbox is delivered.
        ///
        /// # Errors
        /// - [`Error::Extension`] with an [`ImportError`](crate::ImportError) if the client is not for API 1.7. Nothing was sent.
        /// - [`Error::Request`] if the platform was not reached or refused. If it does not know the access token
        ///   ([`Error::needs_consent`]), begin a new flow with [`authorize`](Self::authorize).
        async fn reauthorize(&self) -> Result<Flow<C, AwaitingConsent<Verifier>>, Error>
        where
            Self: CanReauthorize<C>,
        {
            Connected => reauthorize;
            Lapsed => reauthorize_lapsed;
            Unstarted: HasConsentToRenew;
            AwaitingConsent<V>: RenewsBeforeTheExchange, for any V;
            PostboxUnstarted: PushesByImport;
            AwaitingCallback<V>: PushesByImportWhileWaiting, for any V;
            PostboxReady: PushesByImportWhenReady;
            Authorized: PushesByImportWhenAuthorized;
            _:  "cannot reauthorize: `{Self}` was never connected",
                "only a consent that was given is renewed",
                "ask for a first consent: `let awaiting = flow.authorize().await?;`";
        }

        /// Asks the same person to renew the consent, with options, as [`reauthorize`](Self::reauthorize) does.
        ///
        /// # Errors
        /// As [`reauthorize`](Self::reauthorize).
        async fn reauthorize_with(&self, options: RenewalOptions) -> Result<Flow<C, AwaitingConsent<Verifier>>, Error>
        where
            Self: CanReauthorizeWith<C>,
        {
            Connected => reauthorize_with;
            Lapsed => reauthorize_lapsed_with;
            Unstarted: HasConsentToRenew;
            AwaitingConsent<V>: RenewsBeforeTheExchange, for any V;
            PostboxUnstarted: PushesByImport;
            AwaitingCallback<V>: PushesByImportWhileWaiting, for any V;
            PostboxReady: PushesByImportWhenReady;
            Authorized: PushesByImportWhenAuthorized;
            _:  "cannot reauthorize: `{Self}` was never connected",
                "only a consent that was given is renewed",
                "ask for a first consent: `let awaiting = flow.authorize().await?;`";
        }

        /// Deletes the person's library at digi.me, with everything in it and all consents. It can't be undone.
        /// [`end_connection`](crate::end_connection) does this for a connection in a store, and is safe if the process dies.
        ///
        /// # Errors
        /// - [`Error::ConsentEnded`] if the consent is over, as after an earlier deletion.
        /// - [`Error::Request`] if the platform was not reached or refused.
        async fn delete_user(&self) -> Result<(), Error>
        where
            Self: CanDeleteTheUser<C>,
        {
            Connected => delete_user;
            Unstarted: HasUserYet;
            AwaitingConsent<V>: HasUserBeforeTheExchange, for any V;
            Lapsed: DeletesWhenLapsed;
            PostboxUnstarted: PushesByImport;
            AwaitingCallback<V>: PushesByImportWhileWaiting, for any V;
            PostboxReady: PushesByImportWhenReady;
            Authorized: PushesByImportWhenAuthorized;
            _:  "cannot delete the user: `{Self}` is not connected",
                "only a connected flow acts for a person",
                "exchange the code first: `let connected = awaiting.exchange_code(callback).await?;`";
        }
    }
}

type Awaiting<C> = Flow<C, AwaitingConsent<Verifier>>;

async fn authorize<C>(
    flow: Flow<C, Unstarted>,
) -> Result<Awaiting<C>, Rejected<Flow<C, Unstarted>>> {
    authorize_with(flow, ConsentOptions::new()).await
}

async fn authorize_with<C>(
    flow: Flow<C, Unstarted>,
    options: ConsentOptions,
) -> Result<Awaiting<C>, Rejected<Flow<C, Unstarted>>> {
    match authorization::authorize(&flow, &options).await {
        Ok(awaiting) => Ok(flow.extend(|_| awaiting)),
        Err(error) => Err(Rejected::new(flow, error)),
    }
}

fn url<C, V>(flow: &Flow<C, AwaitingConsent<V>>) -> &Url {
    flow.as_state().url()
}

fn state<C, V>(flow: &Flow<C, AwaitingConsent<V>>) -> &str {
    flow.as_state().state()
}

async fn refresh<C>(flow: &Flow<C, Connected>) -> Result<AccessToken, Error> {
    flow.as_state().grant().refresh(flow).await
}

async fn reauthorize<C>(flow: &Flow<C, Connected>) -> Result<Awaiting<C>, Error> {
    renew(flow, flow.as_state(), RenewalOptions::new()).await
}

async fn reauthorize_with<C>(
    flow: &Flow<C, Connected>,
    options: RenewalOptions,
) -> Result<Awaiting<C>, Error> {
    renew(flow, flow.as_state(), options).await
}

async fn reauthorize_lapsed<C>(flow: &Flow<C, Lapsed>) -> Result<Awaiting<C>, Error> {
    renew(flow, flow.as_state().connection(), RenewalOptions::new()).await
}

async fn reauthorize_lapsed_with<C>(
    flow: &Flow<C, Lapsed>,
    options: RenewalOptions,
) -> Result<Awaiting<C>, Error> {
    renew(flow, flow.as_state().connection(), options).await
}

async fn renew<C, S>(
    flow: &Flow<C, S>,
    connection: &Connected,
    options: RenewalOptions,
) -> Result<Awaiting<C>, Error> {
    let token = connection.access_token();
    let awaiting = authorization::reauthorize(flow, &token, &options).await?;
    Ok(flow.branch(awaiting.renewing(connection)))
}

digime::wrong_calls! {
    impl[] Unstarted {
        url, state, exchange_code, push, push_many, refresh => ImportFlow;
        access_token, access_token_expires_at, valid_access_token, replace_access_token, refreshed_token: HasTokenYet;
        _: HasAPostboxFlow;
    }
}

digime::wrong_calls! {
    impl[V] AwaitingConsent<V> {
        url, state, exchange_code, push, push_many, refresh => ImportFlow;
        access_token, access_token_expires_at, valid_access_token, replace_access_token, refreshed_token: HasTokenBeforeTheExchange;
        _: HasAPostboxFlowWhileWaiting;
    }
}

digime::wrong_calls! {
    impl[] Connected {
        url, state, exchange_code, push, push_many, refresh => ImportFlow;
        access_token, access_token_expires_at, valid_access_token, replace_access_token, refreshed_token: IsReadFromTheFlow;
        _: HasAPostboxFlowWhenConnected;
    }
}

digime::wrong_calls! {
    impl[] Lapsed {
        url, state, exchange_code, push, push_many, refresh => ImportFlow;
        access_token, access_token_expires_at, valid_access_token, replace_access_token, refreshed_token: HasTokenWhenLapsed;
        _: HasAPostboxFlowWhenLapsed;
    }
}
