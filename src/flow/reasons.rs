//! Why a call is wrong in a state: the texts of the compile errors.
//!
//! Nothing implements these traits, and nothing can. A hidden method that replaces "method not found" has one of them as
//! its bound, so that the compiler prints the trait's message. The module is public, since the compiler prints the path
//! of a private trait in full.

pub(crate) mod sealed {
    /// The supertrait of every reason. No type implements it, and nothing is won by implementing it: another crate can do so
    /// only for its own types.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot implement a reason",
        label = "no type can implement a trait of `digime::reasons`",
        note = "a reason is the text of a compile error: remove the `impl`, and make the call that the error suggests"
    )]
    pub trait Never: Sized {
        /// The body of a method that can't be called.
        fn never<T>() -> T;
    }
}

crate::reasons! {
    pub CanBeCloned:
        "a flow cannot be cloned: `{Self}` must not exist twice",
        "a clone would use the same session, code or refresh token a second time",
        "borrow the flow (`&flow`), share it (`Arc::new(flow)`), or begin another: `contract.flow(&client)`";
    pub SessionCanBeCloned:
        "a session cannot be cloned: each session makes one postbox",
        "the platform would refuse to make a second one",
        "establish another session for another postbox: `flow.establish_session().await?`";
    pub SessionIsAFlow:
        "a session is not a flow: a flow uses it to ask for a postbox",
        "this method belongs to a flow",
        "pass the session to the flow: `let awaiting = flow.create_postbox(session).await?;`";
    pub IsResumed:
        "a suspended flow is only data: it must be resumed before this call",
        "this method belongs to a flow",
        "resume it first: `let flow = suspended.resume(&contract, &client)?;`";
    pub HasPostboxYet:
        "cannot push yet: `Unstarted` has no postbox",
        "the user has not been asked for a postbox",
        "ask first: `let session = flow.establish_session().await?; let awaiting = flow.create_postbox(session).await?;`, then handle the callback, then push";
    pub HasLinkYet:
        "no link yet: `Unstarted` has not asked for a postbox",
        "`create_postbox` makes the link and its state",
        "ask first: `let session = flow.establish_session().await?; let awaiting = flow.create_postbox(session).await?;`";
    pub HasCallbackYet:
        "cannot handle a callback yet: `Unstarted` has not asked the user",
        "the user has not been asked, so there is no answer",
        "ask first: `let session = flow.establish_session().await?; let awaiting = flow.create_postbox(session).await?;`, and send the user to `awaiting.url()`";
    pub HasTokenBeforeTheUserIsAsked:
        "no access token yet: `Unstarted` has not asked the user",
        "the user has not consented",
        "an ongoing contract's flow gets one when it exchanges the code: `let authorized = awaiting.exchange_code(callback).await?;`";
    pub AsksForAnotherPostbox:
        "this flow has already asked for its postbox: `AwaitingCallback` waits for the user's answer",
        "a flow asks for one postbox, with one session",
        "wait for the callback, or begin another flow for another postbox: `contract.flow(&client)`";
    pub HasSomethingToSuspend:
        "nothing to suspend yet: `Unstarted` has not asked the user",
        "the user has not been asked, so there is nothing to resume later",
        "keep the contract, and begin the flow when the user is there: `contract.flow(&client)`; suspend it when it waits: `awaiting.suspend()`";
    pub HasReceivedThePostbox:
        "cannot push yet: `AwaitingCallback<NoVerifier>` has no postbox",
        "the user has not answered yet",
        "handle the callback first: `let ready = awaiting.receive_postbox(callback)?;`, then push: `ready.push(item).await?`";
    pub HasExchangedTheCode:
        "cannot push yet: `AwaitingCallback<Verifier>` has no postbox",
        "the user has not answered yet",
        "handle the callback first: `let authorized = awaiting.exchange_code(callback).await?;`, then push: `authorized.push(item).await?`";
    pub HasTokenBeforeTheExchange:
        "no access token yet: `AwaitingCallback<Verifier>` has not exchanged its code",
        "the user has not answered yet",
        "handle the callback first: `let authorized = awaiting.exchange_code(callback).await?;`";
    pub HasTokenWithoutCode:
        "no access token: a one-off contract never has one",
        "one-off contracts push without a token",
        "handle the callback, `awaiting.receive_postbox(callback)?`, and push; for a token the contract must be `#[digime_contract(ongoing)]`";
    pub HasTokenWhenReady:
        "no access token: `PostboxReady` belongs to a one-off contract, which never has one",
        "one-off contracts push without a token",
        "the next step is `ready.push(item).await?`; for a token the contract must be `#[digime_contract(ongoing)]`";
    pub HasCodeToExchange:
        "cannot exchange a code: `AwaitingCallback<NoVerifier>` belongs to a one-off contract, whose callback has none",
        "only an ongoing contract has a code to exchange",
        "the callback brings the postbox itself: `awaiting.receive_postbox(callback)?`; for a code the contract must be `#[digime_contract(ongoing)]`";
    pub ReceivesPostboxWithoutCode:
        "cannot receive the postbox without exchanging the code: `AwaitingCallback<Verifier>` belongs to an ongoing contract",
        "this method is for one-off contracts, whose callback has no code",
        "exchange the code, which receives the postbox as well: `awaiting.exchange_code(callback).await?`";
    pub AsksAgain:
        "this flow already has its postbox: `{Self}` cannot ask for another",
        "a flow asks for one postbox, with one session",
        "push to it, `flow.push(item).await?`, or begin another flow for another postbox: `contract.flow(&client)`";
    pub AwaitsAnotherCallback:
        "this flow has already handled its callback: `PostboxReady` does not wait for another",
        "the user's answer has arrived",
        "the next step is `ready.push(item).await?`";
    pub AwaitsAnotherCallbackWhenAuthorized:
        "this flow has already handled its callback: `Authorized` does not wait for another",
        "the user's answer has arrived, and its code is spent",
        "the next step is `authorized.push(item).await?`";
}
