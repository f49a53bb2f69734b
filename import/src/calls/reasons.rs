//! Why a call is wrong in a state: the texts of the compile errors.
//!
//! The module is public, since the compiler prints the path of a private trait in full.

digime::reasons! {
    pub HasPageYet:
        "no page yet: `Unstarted` has not asked for consent",
        "`authorize` makes the page and its `state`",
        "ask for consent first: `let awaiting = flow.authorize().await?;`";
    pub HasCodeYet:
        "cannot exchange a code yet: `Unstarted` has not asked for consent",
        "the person has not been asked, so there is no code",
        "ask for consent first, `let awaiting = flow.authorize().await?;`, and send the person to `awaiting.url()`";
    pub HasConsentToPush:
        "cannot push yet: `Unstarted` has not asked for consent",
        "the person has not been asked",
        "ask for consent first, `let awaiting = flow.authorize().await?;`, then exchange the code, `let connected = awaiting.exchange_code(callback).await?;`, then push";
    pub HasTokenYet:
        "no access token yet: `Unstarted` has not asked for consent",
        "the person has not consented",
        "ask for consent first, `let awaiting = flow.authorize().await?;`, then exchange the code: `let connected = awaiting.exchange_code(callback).await?;`";
    pub HasConsentYet:
        "no consent yet: `Unstarted` has not asked for one",
        "the person has not been asked",
        "ask for consent first: `let awaiting = flow.authorize().await?;`";
    pub HasConsentToRenew:
        "no consent to renew: `Unstarted` has not asked for one",
        "the person has not consented before",
        "ask for a first consent: `let awaiting = flow.authorize().await?;`";
    pub HasUserYet:
        "cannot delete a user yet: `Unstarted` has not asked for consent",
        "it is not known who the person is",
        "delete the user of a connected flow: `connected.delete_user().await?`";

    pub AsksForAnotherConsent:
        "this flow has already asked for consent: `AwaitingConsent` waits for the person's answer",
        "a flow asks one person once",
        "send the person to `awaiting.url()` and handle the callback, or begin another flow for another person: `contract.flow(&client)`";
    pub HasExchangedTheCode:
        "cannot push yet: `AwaitingConsent` has not exchanged its code",
        "the person has not answered yet",
        "handle the callback first: `let connected = awaiting.exchange_code(callback).await?;`, then push: `connected.push(item).await?`";
    pub HasTokenBeforeTheExchange:
        "no access token yet: `AwaitingConsent` has not exchanged its code",
        "the person has not answered yet",
        "handle the callback first: `let connected = awaiting.exchange_code(callback).await?;`";
    pub HasConsentBeforeTheExchange:
        "no consent yet: `AwaitingConsent` waits for the person's answer",
        "the person has not answered yet",
        "handle the callback first: `let connected = awaiting.exchange_code(callback).await?;`";
    pub RenewsBeforeTheExchange:
        "no consent to renew: `AwaitingConsent` waits for the person's answer",
        "the person has a page to consent on already",
        "send the person to `awaiting.url()`, and handle the callback: `let connected = awaiting.exchange_code(callback).await?;`";
    pub HasUserBeforeTheExchange:
        "cannot delete the user yet: `AwaitingConsent` has not exchanged its code",
        "it is not known who the person is",
        "handle the callback first: `let connected = awaiting.exchange_code(callback).await?;`, then delete: `connected.delete_user().await?`";

    pub AsksWhenConnected:
        "the person has consented already: `Connected` asks for no first consent",
        "the next step is a push, or the renewal of the consent",
        "push, `connected.push(item).await?`, or renew the consent: `let awaiting = connected.reauthorize().await?;`";
    pub HasPageWhenConnected:
        "no page: `Connected` does not wait for its person",
        "the person has consented",
        "push, `connected.push(item).await?`, or renew the consent on a new page: `let awaiting = connected.reauthorize().await?;`";
    pub AwaitsNoMoreCallbacks:
        "this flow has already handled its callback: `Connected` does not wait for another",
        "the person's answer has arrived, and its code is spent",
        "the next step is `connected.push(item).await?`";
    pub IsReadFromTheFlow:
        "the access token of `Connected` is read from its state",
        "this call belongs to the flow of a postbox",
        "read the token, `connected.as_state().access_token()`, or refresh it now: `connected.refresh().await?`; a push refreshes it by itself";

    pub AsksWhenLapsed:
        "the consent has ended: `Lapsed` is renewed, and not authorized anew",
        "the same person has to consent again",
        "renew the consent: `let awaiting = lapsed.reauthorize().await?;`";
    pub HasPageWhenLapsed:
        "no page yet: `Lapsed` has not asked for the renewal of its consent",
        "`reauthorize` makes the page and its `state`",
        "renew the consent first: `let awaiting = lapsed.reauthorize().await?;`";
    pub HasCodeWhenLapsed:
        "cannot exchange a code yet: `Lapsed` has not asked for the renewal of its consent",
        "the person has not been asked, so there is no code",
        "renew the consent first, `let awaiting = lapsed.reauthorize().await?;`, and send the person to `awaiting.url()`";
    pub PushesWhenLapsed:
        "cannot push: the consent of `Lapsed` has ended",
        "the person has to consent again",
        "renew the consent, `let awaiting = lapsed.reauthorize().await?;`, then exchange the code, `let connected = awaiting.exchange_code(callback).await?;`, then push";
    pub HasTokenWhenLapsed:
        "no access token: the consent of `Lapsed` has ended",
        "the person has to consent again",
        "renew the consent, `let awaiting = lapsed.reauthorize().await?;`, then exchange the code: `let connected = awaiting.exchange_code(callback).await?;`";
    pub HasConsentWhenLapsed:
        "nothing to look at: the consent of `Lapsed` has ended",
        "it is known that the consent has ended",
        "read why, `lapsed.as_state().code()`, or renew the consent: `let awaiting = lapsed.reauthorize().await?;`";
    pub DeletesWhenLapsed:
        "cannot delete the user: the consent of `Lapsed` has ended",
        "nothing can be done for the person without a consent",
        "forget the connection alone, `tokens.forget(user, &contract).await?`, or renew the consent first: `let awaiting = lapsed.reauthorize().await?;`";

    pub HasAPostboxFlow:
        "this contract pushes by import: `Unstarted` has no postbox",
        "the contract is `#[digime_contract(kind = Import)]`",
        "ask for consent, `let awaiting = flow.authorize().await?;`; for a postbox the contract must be `once` or `ongoing`";
    pub HasAPostboxFlowWhileWaiting:
        "this contract pushes by import: `AwaitingConsent` waits for no postbox",
        "the contract is `#[digime_contract(kind = Import)]`",
        "handle the callback, `let connected = awaiting.exchange_code(callback).await?;`; for a postbox the contract must be `once` or `ongoing`";
    pub HasAPostboxFlowWhenConnected:
        "this contract pushes by import: `Connected` has no postbox",
        "the contract is `#[digime_contract(kind = Import)]`",
        "push into the person's library, `connected.push(item).await?`; for a postbox the contract must be `once` or `ongoing`";
    pub HasAPostboxFlowWhenLapsed:
        "this contract pushes by import: `Lapsed` has no postbox",
        "the contract is `#[digime_contract(kind = Import)]`",
        "renew the consent, `let awaiting = lapsed.reauthorize().await?;`; for a postbox the contract must be `once` or `ongoing`";

    pub PushesByImport:
        "this is the flow of a postbox: `Unstarted` does not push by import",
        "only a contract that is `#[digime_contract(kind = Import)]` has this call",
        "ask for a postbox, `let session = flow.establish_session().await?;`, or make the contract `#[digime_contract(kind = Import)]`; code that is generic over `C: Contract<Kind = Import>` begins with `Import::begin(contract.flow(&client))`";
    pub PushesByImportWhileWaiting:
        "this is the flow of a postbox: `{Self}` does not push by import",
        "only a contract that is `#[digime_contract(kind = Import)]` has this call",
        "handle the callback, `awaiting.exchange_code(callback).await?` or, if the contract is `once`, `awaiting.receive_postbox(callback)?`; to push by import the contract must be `#[digime_contract(kind = Import)]`";
    pub PushesByImportWhenReady:
        "this is the flow of a postbox: `PostboxReady` does not push by import",
        "only a contract that is `#[digime_contract(kind = Import)]` has this call",
        "push to the postbox, `ready.push(item).await?`; to push by import the contract must be `#[digime_contract(kind = Import)]`";
    pub PushesByImportWhenAuthorized:
        "this is the flow of a postbox: `Authorized` does not push by import",
        "only a contract that is `#[digime_contract(kind = Import)]` has this call",
        "push to the postbox, `authorized.push(item).await?`; to push by import the contract must be `#[digime_contract(kind = Import)]`";
}
