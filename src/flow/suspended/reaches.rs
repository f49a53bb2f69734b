use super::Durable;
use crate::flow::contract::Contract;
use sealed::Is;

/// A contract whose flows reach the state `S`: one-off contracts reach `AwaitingCallback<NoVerifier>` and
/// [`PostboxReady`](crate::PostboxReady), ongoing ones `AwaitingCallback<Verifier>` and
/// [`Authorized`](crate::Authorized).
///
/// Stored text can say anything, so that a [`Suspended`](crate::Suspended) flow can be named under any contract. It is
/// resumed only under a contract of this kind. Every contract has the trait for the states of its kind;
/// `C: OnceContract` or `C: OngoingContract` is enough to know it.
#[diagnostic::on_unimplemented(
    message = "a flow of the contract `{Self}` is not known to reach the state `{S}`",
    label = "the state belongs to another kind of contract, or the kind is not known here",
    note = "a one-off contract's flow is resumed as `AwaitingCallback<NoVerifier>` or `PostboxReady`, an ongoing one's as `AwaitingCallback<Verifier>` or `Authorized`: name the state in which it was suspended",
    note = "generic code says the kind: `C: OnceContract`, `C: OngoingContract`, or `C: Contract<Kind = …>` for the kind of a library"
)]
pub trait Reaches<S: Durable>: Contract<Kind: Is<S::Kind>> {}

#[diagnostic::do_not_recommend]
impl<C, S> Reaches<S> for C
where
    C: Contract<Kind: Is<S::Kind>>,
    S: Durable,
{
}

mod sealed {
    /// The same type. A bound `C::Kind == K` would be an error about types and not about states.
    #[expect(unnameable_types, reason = "it seals a public trait")]
    pub trait Is<K> {}

    #[diagnostic::do_not_recommend]
    impl<K> Is<K> for K {}
}
