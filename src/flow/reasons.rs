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
    CanBeCopied:
        "a flow can't be copied: `{Self}` goes on once",
        "a second one would use the session, the code or the refresh token twice",
        "lend it (`&flow`) or share it (`Arc::new(flow)`), or begin another flow: `contract.flow(&client)`";
    SessionCanBeCopied:
        "a session can't be copied: it makes one postbox",
        "a second one would be refused by the platform",
        "establish another for another postbox: `flow.establish_session().await?`";
    SessionIsAFlow:
        "a session is not a flow: it is what a flow asks for a postbox with",
        "this call is a flow's",
        "give the session to the flow: `let awaiting = flow.create_postbox(session).await?;`";
    SuspendedFlowGoesOn:
        "a suspended flow is data: it goes on when it is resumed",
        "this call is a flow's",
        "resume it first: `let flow = suspended.resume(&contract, &client)?;`";
    HasPostboxYet:
        "cannot push yet: `Unstarted` has no postbox",
        "nobody was asked for a postbox",
        "ask first: `let session = flow.establish_session().await?; let awaiting = flow.create_postbox(session).await?;`, then take the callback, then push";
    HasLinkYet:
        "no link yet: `Unstarted` has not asked for a postbox",
        "the link and its state are made when the postbox is asked for",
        "ask first: `let session = flow.establish_session().await?; let awaiting = flow.create_postbox(session).await?;`";
    HasCallbackYet:
        "cannot take a callback yet: `Unstarted` has not asked the user",
        "nobody was asked, so nobody can have answered",
        "ask first: `let session = flow.establish_session().await?; let awaiting = flow.create_postbox(session).await?;`, and send the user to `awaiting.url()`";
    HasTokenBeforeTheUserIsAsked:
        "no access token yet: `Unstarted` has not asked the user",
        "nobody was asked",
        "an ongoing contract's flow has one when the code is exchanged: `awaiting.exchange_code(callback).await?`";
    AsksForAnotherPostbox:
        "this flow has asked for its postbox: `AwaitingCallback` waits for the user",
        "one flow, one session, one postbox",
        "take the callback, or begin another flow for another postbox: `contract.flow(&client)`";
    HasSomethingToSuspend:
        "nothing to suspend: `Unstarted` holds nothing yet",
        "nobody was asked, so there is nothing to come back to",
        "keep the contract and begin when the user is there, `contract.flow(&client)`; suspend what waits: `awaiting.suspend()`";
    HasReceivedThePostbox:
        "cannot push yet: `AwaitingCallback<NoVerifier>` has no postbox",
        "the user has not answered yet",
        "take the callback first: `awaiting.receive_postbox(callback)?`, then push";
    HasExchangedTheCode:
        "cannot push yet: `AwaitingCallback<Verifier>` has no postbox",
        "the user has not answered yet",
        "take the callback first: `awaiting.exchange_code(callback).await?`, then push";
    HasTokenBeforeTheExchange:
        "no access token yet: `AwaitingCallback<Verifier>` has not exchanged its code",
        "the user has not answered yet",
        "take the callback first: `awaiting.exchange_code(callback).await?`";
    HasTokenWithoutCode:
        "no access token: a one-off contract never has one",
        "one-off contracts push without a token",
        "take the callback, `awaiting.receive_postbox(callback)?`, and push; for a token the contract must be `#[digime_contract(ongoing)]`";
    HasTokenWhenReady:
        "no access token: `PostboxReady` belongs to a one-off contract, which never has one",
        "one-off contracts push without a token",
        "the next step is `ready.push(item).await?`; for a token the contract must be `#[digime_contract(ongoing)]`";
    HasCodeToExchange:
        "cannot exchange a code: `AwaitingCallback<NoVerifier>` belongs to a one-off contract, whose callback has none",
        "only an ongoing contract has a code to exchange",
        "the callback brings the postbox itself: `awaiting.receive_postbox(callback)?`; for a code the contract must be `#[digime_contract(ongoing)]`";
    TakesThePostboxAlone:
        "cannot take the postbox alone: `AwaitingCallback<Verifier>` belongs to an ongoing contract, whose callback has a code too",
        "only a one-off contract takes its postbox from the callback alone",
        "exchange the code, which takes the postbox as well: `awaiting.exchange_code(callback).await?`";
    AsksAgain:
        "this flow has its postbox: `PostboxReady` asks for no other",
        "one flow, one session, one postbox",
        "push with it, or begin another flow for another postbox: `contract.flow(&client)`";
    AwaitsAnotherCallback:
        "this flow has taken its callback: `PostboxReady` waits for none",
        "the callback was taken",
        "the next step is `ready.push(item).await?`";
    AsksAgainWhenAuthorized:
        "this flow has its postbox: `Authorized` asks for no other",
        "one flow, one session, one postbox",
        "push with it, or begin another flow for another postbox: `contract.flow(&client)`";
    AwaitsAnotherCallbackWhenAuthorized:
        "this flow has taken its callback: `Authorized` waits for none",
        "the callback was taken and its code is spent",
        "the next step is `authorized.push(item).await?`";
}
