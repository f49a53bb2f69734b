//! The macro with which a library explains why calls are wrong in its states.

/// Explains calls of this library that are wrong in a state of a library.
///
/// Without it, the compiler says "method not found". Each row names calls:
///
/// - `call, call: Reason;` for calls that are wrong. [`reasons!`](crate::reasons) defines the reason, which is the text of the
///   compile error.
/// - `call => Trait;` for calls that the library itself offers in the state, with a trait that [`calls!`](crate::calls) defines.
/// - `_: Reason;` for every call that no row before it names. This row is the last.
///
/// ```
/// use digime::extend::ExtensionState;
/// use digime::{Authorized, Flow};
///
/// /// The state of a flow whose pushes a person has to approve.
/// pub struct UnderReview<C> {
///     flow: Flow<C, Authorized>,
/// }
///
/// impl<C> ExtensionState for UnderReview<C> {}
///
/// digime::reasons! {
///     pub IsApproved:
///         "cannot push yet: `UnderReview` waits for a reviewer",
///         "nobody has approved the push",
///         "let somebody approve it, `let approved = under_review.approve(by).await?;`, then push";
///     pub WaitsForAReviewer:
///         "a flow that is `UnderReview` only waits for its reviewer",
///         "this call comes before the review or after it",
///         "end the review first: `let approved = under_review.approve(by).await?;`";
/// }
///
/// digime::wrong_calls! {
///     impl[C] UnderReview<C> {
///         push, push_many: IsApproved;
///         _: WaitsForAReviewer;
///     }
/// }
/// ```
///
/// A push is then one error, with the text of `IsApproved`:
///
/// ```compile_fail,E0277
/// # use digime::extend::ExtensionState;
/// # use digime::{Authorized, Error, Flow, PostboxItem};
/// # pub struct UnderReview<C> { flow: Flow<C, Authorized> }
/// # impl<C> ExtensionState for UnderReview<C> {}
/// # digime::reasons! { pub IsApproved: "cannot push yet", "nobody has approved the push", "let somebody approve it"; }
/// # digime::wrong_calls! { impl[C] UnderReview<C> { push: IsApproved; } }
/// # async fn run<C>(under_review: Flow<C, UnderReview<C>>) -> Result<(), Error> {
/// under_review.push(PostboxItem::file("receipt.pdf")).await?; // cannot push yet: `UnderReview` waits for a reviewer
/// # Ok(())
/// # }
/// ```
///
#[macro_export]
macro_rules! wrong_calls {
    (impl[$($generics:tt)*] $state:ty { $($rows:tt)* }) => {
        $crate::__wrong_calls! { @rows [$($generics)*] [$state] [] $($rows)* }
    };
}

/// Does the work of [`wrong_calls!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __wrong_calls {
    (@rows $generics:tt $state:tt $named:tt) => {};
    (@rows $generics:tt $state:tt [$($named:tt)*] $($call:ident),+: $reason:tt; $($rows:tt)*) => {
        $($crate::__wrong_calls! { @explain $generics $state $call $reason })+
        $crate::__wrong_calls! { @rows $generics $state [$($named)* $($call)+] $($rows)* }
    };
    (@rows $generics:tt $state:tt [$($named:tt)*] $($call:ident),+ => $($offered:ident)::+; $($rows:tt)*) => {
        const _: () = {
            #[allow(unused_imports)]
            use $($offered)::+ as _;
        };

        $crate::__wrong_calls! { @rows $generics $state [$($named)* $($call)+] $($rows)* }
    };
    (@rows $generics:tt $state:tt $named:tt _: $reason:tt;) => {
        $crate::__wrong_calls! {
            @others $generics $state $named $reason
            establish_session establish_session_with create_postbox
            url consent_access_url guest_url state receive_postbox exchange_code
            push push_many postbox_id
            access_token access_token_expires_at valid_access_token replace_access_token refresh refreshed_token
        }
    };
    (@others $generics:tt $state:tt $named:tt $reason:tt $($call:ident)*) => {
        $($crate::__wrong_calls! { @unless_named $call $named $generics $state $call $reason })*
    };

    // Explains the call unless it is among the named ones.
    (@unless_named $call:ident [] $($explained:tt)*) => {
        $crate::__wrong_calls! { @explain $($explained)* }
    };
    (@unless_named establish_session [establish_session $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named establish_session_with [establish_session_with $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named create_postbox [create_postbox $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named url [url $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named consent_access_url [consent_access_url $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named guest_url [guest_url $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named state [state $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named receive_postbox [receive_postbox $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named exchange_code [exchange_code $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named push [push $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named push_many [push_many $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named postbox_id [postbox_id $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named access_token [access_token $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named access_token_expires_at [access_token_expires_at $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named valid_access_token [valid_access_token $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named replace_access_token [replace_access_token $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named refresh [refresh $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named refreshed_token [refreshed_token $($more:tt)*] $($explained:tt)*) => {};
    (@unless_named $call:ident [$named:ident $($more:tt)*] $($explained:tt)*) => {
        $crate::__wrong_calls! { @unless_named $call [$($more)*] $($explained)* }
    };

    (@explain [$($generics:tt)*] [$state:ty] $call:ident $reason:tt) => {
        const _: () = {
            use $crate::extend::call::$call as Call;

            impl<$($generics)*> $crate::extend::Explained<Call> for $state {}

            impl<$($generics)*> $crate::extend::WrongCall<Call> for $state
            where
                for<'impossible> $state: $reason,
            {
                fn never<AnyResult>() -> AnyResult {
                    <$state as $crate::__private::Never>::never()
                }
            }
        };
    };
}
