//! Why a call is wrong in a state, as the compiler says it.
//!
//! Nothing implements these traits, and nothing can. They are bounds on calls in states in which the calls are wrong, so
//! that the compiler's error names them. A reason names its state in full, since a message can't be made to depend on the
//! type that it is about.

pub(crate) mod sealed {
    /// What no type has. It is the supertrait of every reason, so that no type outside this crate gets one.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` can't implement a reason",
        label = "no type implements what is in `digime::reasons`",
        note = "a reason is the text of a compile error: remove the impl, and make the call that the error suggests"
    )]
    pub trait Never: Sized {
        /// Stands in for the body of a call that can't be made.
        fn never<T>() -> T;
    }
}

macro_rules! reasons {
    ($($name:ident: $message:literal, $label:literal, $note:literal;)*) => {
        $(
            #[doc = concat!($message, ": ", $label, ".")]
            #[diagnostic::on_unimplemented(message = $message, label = $label, note = $note)]
            pub trait $name: sealed::Never {}
        )*
    };
}

reasons! {
    CanBeCloned:
        "a flow cannot be cloned: `{Self}` belongs to one user and one postbox",
        "a clone would use the same session, code or refresh token a second time",
        "borrow the flow (`&flow`), share it (`Arc::new(flow)`), or begin another: `contract.flow(&client)`";
    SessionCanBeCloned:
        "a session cannot be cloned: each session makes one postbox",
        "the platform would refuse to make a second one",
        "establish another session for another postbox: `flow.establish_session().await?`";
    SessionIsAFlow:
        "a session is not a flow: a flow uses it to ask for a postbox",
        "this method belongs to a flow",
        "pass the session to the flow: `let awaiting = flow.create_postbox(session).await?;`";
    IsResumed:
        "a suspended flow is only data: it has to be resumed before this call",
        "this method belongs to a flow",
        "resume it first: `let flow = suspended.resume(&contract, &client)?;`";
    HasPostboxYet:
        "cannot push yet: `Unstarted` has no postbox",
        "the user has not been asked for a postbox",
        "ask first: `let session = flow.establish_session().await?; let awaiting = flow.create_postbox(session).await?;`, then handle the callback, then push";
    HasLinkYet:
        "no link yet: `Unstarted` has not asked for a postbox",
        "`create_postbox` makes the link and its state",
        "ask first: `let session = flow.establish_session().await?; let awaiting = flow.create_postbox(session).await?;`";
    HasCallbackYet:
        "cannot handle a callback yet: `Unstarted` has not asked the user",
        "the user has not been asked, so there is no answer",
        "ask first: `let session = flow.establish_session().await?; let awaiting = flow.create_postbox(session).await?;`, and send the user to `awaiting.url()`";
    HasTokenBeforeTheUserIsAsked:
        "no access token yet: `Unstarted` has not asked the user",
        "the user has not consented",
        "an ongoing contract's flow gets one when it exchanges the code: `let authorized = awaiting.exchange_code(callback).await?;`";
    AsksForAnotherPostbox:
        "this flow has already asked for its postbox: `AwaitingCallback` waits for the user's answer",
        "a flow asks for one postbox, with one session",
        "wait for the callback, or begin another flow for another postbox: `contract.flow(&client)`";
    HasSomethingToSuspend:
        "nothing to suspend yet: `Unstarted` has not asked the user",
        "the user has not been asked, so there is nothing to resume later",
        "keep the contract, and begin the flow when the user is there: `contract.flow(&client)`; suspend it when it waits: `awaiting.suspend()`";
    HasReceivedThePostbox:
        "cannot push yet: `AwaitingCallback<NoVerifier>` has no postbox",
        "the user has not answered yet",
        "handle the callback first: `let ready = awaiting.receive_postbox(callback)?;`, then push: `ready.push(item).await?`";
    HasExchangedTheCode:
        "cannot push yet: `AwaitingCallback<Verifier>` has no postbox",
        "the user has not answered yet",
        "handle the callback first: `let authorized = awaiting.exchange_code(callback).await?;`, then push: `authorized.push(item).await?`";
    HasTokenBeforeTheExchange:
        "no access token yet: `AwaitingCallback<Verifier>` has not exchanged its code",
        "the user has not answered yet",
        "handle the callback first: `let authorized = awaiting.exchange_code(callback).await?;`";
    HasTokenWithoutCode:
        "no access token: a one-off contract never has one",
        "one-off contracts push without a token",
        "handle the callback, `awaiting.receive_postbox(callback)?`, and push; for a token the contract must be `#[digime_contract(ongoing)]`";
    HasTokenWhenReady:
        "no access token: `PostboxReady` belongs to a one-off contract, which never has one",
        "one-off contracts push without a token",
        "the next step is `ready.push(item).await?`; for a token the contract must be `#[digime_contract(ongoing)]`";
    HasCodeToExchange:
        "cannot exchange a code: `AwaitingCallback<NoVerifier>` belongs to a one-off contract, whose callback has none",
        "only an ongoing contract has a code to exchange",
        "the callback brings the postbox itself: `awaiting.receive_postbox(callback)?`; for a code the contract must be `#[digime_contract(ongoing)]`";
    ReceivesPostboxWithoutCode:
        "cannot receive the postbox without its code: `AwaitingCallback<Verifier>` belongs to an ongoing contract",
        "only a one-off contract's callback has no code to exchange",
        "exchange the code, which receives the postbox as well: `awaiting.exchange_code(callback).await?`";
    AsksAgain:
        "this flow already has its postbox: `{Self}` cannot ask for another",
        "a flow asks for one postbox, with one session",
        "push to it, or begin another flow for another postbox: `contract.flow(&client)`";
    AwaitsAnotherCallback:
        "this flow has already handled its callback: `PostboxReady` does not wait for another",
        "the user's answer has arrived",
        "the next step is `ready.push(item).await?`";
    AwaitsAnotherCallbackWhenAuthorized:
        "this flow has already handled its callback: `Authorized` does not wait for another",
        "the user's answer has arrived, and its code is spent",
        "the next step is `authorized.push(item).await?`";
}
