//! The macro with which a library explains why calls are wrong in its states.

/// Explains calls of this library that are wrong in a state of a library.
///
/// Without it, the compiler says "method not found". Each row names calls and the reason why they are wrong, which
/// [`reasons!`](crate::reasons) defines. `_` stands for every call that no row names and that the state does not have itself. The
/// first parameter in the brackets is the contract. They are empty, `impl[] State`, for a state without parameters.
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
/// The macro generates hidden methods of the state, with bounds that can't hold. They can be named in any number of tables of
/// one state, each call once.
#[macro_export]
macro_rules! wrong_calls {
    (impl[$($c:ident $($generics:tt)*)?] $state:ty { $($rows:tt)* }) => {
        $crate::__wrong_call_rows! { [$($c $($generics)*)?] [($($c)?)] [$state] $($rows)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __wrong_call_rows {
    ($generics:tt $contract:tt $state:tt $($($call:ident),+: $reason:tt;)* $(_: $other:tt;)?) => {
        $($($crate::__wrong_call! { $call $call $generics $contract $state $state $reason })+)*
        $($crate::__other_calls! { $generics $contract $state $other })?
    };
}

/// The calls that no row names: methods of a type that the state dereferences to, so that the state's own come first.
#[doc(hidden)]
#[macro_export]
macro_rules! __other_calls {
    ([$($generics:tt)*] $contract:tt [$state:ty] $reason:tt) => {
        const _: () = {
            /// The calls that a state has no other explanation for.
            #[derive(Debug)]
            pub struct OtherCalls<State>(::std::marker::PhantomData<fn() -> State>);

            impl<$($generics)*> ::std::ops::Deref for $state {
                type Target = OtherCalls<$state>;

                fn deref(&self) -> &OtherCalls<$state> {
                    &OtherCalls(::std::marker::PhantomData)
                }
            }

            $crate::__every_call! { [$($generics)*] $contract [$state] $reason }
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __every_call {
    ($generics:tt $contract:tt $state:tt $reason:tt) => {
        $crate::__every_call! {
            @each $generics $contract $state $reason
            establish_session establish_session_with create_postbox
            url consent_access_url guest_url state receive_postbox exchange_code
            push push_many postbox_id
            access_token access_token_expires_at refresh refreshed_token
        }
    };
    (@each $generics:tt $contract:tt [$state:ty] $reason:tt $($call:tt)*) => {
        $($crate::__wrong_call! { $call $call $generics $contract [OtherCalls<$state>] [$state] $reason })*
    };
}

/// One hidden method, with the signature that the call has in its right states.
#[doc(hidden)]
#[macro_export]
macro_rules! __wrong_call {
    (establish_session $method:tt $g:tt [$c:ty] $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self)
            -> ::std::future::Ready<::std::result::Result<$crate::Session<$c>, $crate::Error>> }
    };
    (establish_session_with $method:tt $g:tt [$c:ty] $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self, _: &$crate::scope::Scope)
            -> ::std::future::Ready<::std::result::Result<$crate::Session<$c>, $crate::Error>> }
    };
    (create_postbox $method:tt $g:tt [$c:ty] $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self, _: $crate::Session<$c>)
            -> $crate::future::CreatePostbox<$c, $crate::Verifier> }
    };
    (url $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self) -> &$crate::url::Url }
    };
    (consent_access_url $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self) -> &$crate::url::Url }
    };
    (guest_url $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self) -> &$crate::url::Url }
    };
    (state $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self) -> &str }
    };
    (receive_postbox $method:tt $g:tt [$c:ty] $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self, _: $crate::Callback)
            -> ::std::result::Result<$crate::Flow<$c, $crate::PostboxReady>, $crate::Error> }
    };
    (exchange_code $method:tt $g:tt [$c:ty] $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self, _: $crate::Callback)
            -> ::std::future::Ready<::std::result::Result<$crate::Flow<$c, $crate::Authorized>, $crate::Error>> }
    };
    (push $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self, _: $crate::PostboxItem)
            -> ::std::future::Ready<::std::result::Result<$crate::Delivery, $crate::Error>> }
    };
    (push_many $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason
            $method(&self, _: impl ::std::iter::IntoIterator<Item = $crate::PostboxItem>) -> $crate::push::PushMany<'_> }
    };
    (postbox_id $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self) -> &str }
    };
    (access_token $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self) -> $crate::AccessToken }
    };
    (access_token_expires_at $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self) -> ::std::time::SystemTime }
    };
    (refresh $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self)
            -> ::std::future::Ready<::std::result::Result<$crate::AccessToken, $crate::Error>> }
    };
    (refreshed_token $method:tt $g:tt $c:tt $on:tt $state:tt $reason:tt) => {
        $crate::__wrong_call! { @ $g $on $state $reason $method(&self, _: &$crate::AccessToken)
            -> ::std::future::Ready<$crate::AccessToken> }
    };
    (@ [$($generics:tt)*] [$on:ty] [$state:ty] $reason:tt $method:tt $arguments:tt -> $returned:ty) => {
        impl<$($generics)*> $on {
            #[doc(hidden)]
            #[allow(dead_code)]
            pub fn $method $arguments -> $returned
            where
                for<'impossible> $state: $reason,
            {
                <$state as $crate::__private::Never>::never()
            }
        }
    };
    ($call:tt $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!("`", ::std::stringify!($call), "` is not a call of digime that can be wrong in a state"));
    };
}
