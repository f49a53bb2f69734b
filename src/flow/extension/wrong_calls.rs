//! The macro with which a library explains why calls are wrong in its states.

/// Explains calls of this library that are wrong in a state of a library.
///
/// Without it, the compiler says "method not found". Each row names calls and the reason why they are wrong, which
/// [`reasons!`](crate::reasons) defines. `_` stands for every call that no row names and that the state does not have itself. The
/// first parameter in the brackets is the contract.
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
    (impl $generics:tt $state:ty { $($($call:ident),+ $(,)?: $reason:ident;)* $(_: $other:ident $(;)?)? }) => {
        $($($crate::__wrong_call! { $call $generics [$state] [$state] $reason })+)*
        $($crate::__other_calls! { $generics [$state] $other })?
    };
}

/// The calls that no row names: methods of a type that the state dereferences to, so that the state's own come first.
#[doc(hidden)]
#[macro_export]
macro_rules! __other_calls {
    ([$($generics:tt)*] [$state:ty] $reason:ident) => {
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

            $crate::__every_call! { [$($generics)*] [$state] $reason }
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __every_call {
    ($generics:tt $state:tt $reason:ident) => {
        $crate::__every_call! {
            @each $generics $state $reason
            establish_session establish_session_with create_postbox
            url consent_access_url guest_url state receive_postbox exchange_code
            push push_many postbox_id
            access_token access_token_expires_at refresh refreshed_token
        }
    };
    (@each $generics:tt [$state:ty] $reason:ident $($call:ident)*) => {
        $($crate::__wrong_call! { $call $generics [OtherCalls<$state>] [$state] $reason })*
    };
}

/// One hidden method, with the signature that the call has in its right states.
#[doc(hidden)]
#[macro_export]
macro_rules! __wrong_call {
    (establish_session [$c:ident $($g:tt)*] $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ [$c $($g)*] $on $state $reason establish_session(&self)
            -> ::std::future::Ready<::std::result::Result<$crate::Session<$c>, $crate::Error>> }
    };
    (establish_session_with [$c:ident $($g:tt)*] $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ [$c $($g)*] $on $state $reason establish_session_with(&self, _: &$crate::scope::Scope)
            -> ::std::future::Ready<::std::result::Result<$crate::Session<$c>, $crate::Error>> }
    };
    (create_postbox [$c:ident $($g:tt)*] $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ [$c $($g)*] $on $state $reason create_postbox(&self, _: $crate::Session<$c>)
            -> $crate::future::CreatePostbox<$c, $crate::Verifier> }
    };
    (url $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason url(&self) -> &$crate::url::Url }
    };
    (consent_access_url $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason consent_access_url(&self) -> &$crate::url::Url }
    };
    (guest_url $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason guest_url(&self) -> &$crate::url::Url }
    };
    (state $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason state(&self) -> &str }
    };
    (receive_postbox [$c:ident $($g:tt)*] $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ [$c $($g)*] $on $state $reason receive_postbox(&self, _: $crate::Callback)
            -> ::std::result::Result<$crate::Flow<$c, $crate::PostboxReady>, $crate::Error> }
    };
    (exchange_code [$c:ident $($g:tt)*] $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ [$c $($g)*] $on $state $reason exchange_code(&self, _: $crate::Callback)
            -> ::std::future::Ready<::std::result::Result<$crate::Flow<$c, $crate::Authorized>, $crate::Error>> }
    };
    (push $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason push(&self, _: $crate::PostboxItem)
            -> ::std::future::Ready<::std::result::Result<$crate::Delivery, $crate::Error>> }
    };
    (push_many $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason
            push_many(&self, _: impl ::std::iter::IntoIterator<Item = $crate::PostboxItem>) -> $crate::push::PushMany<'_> }
    };
    (postbox_id $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason postbox_id(&self) -> &str }
    };
    (access_token $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason access_token(&self) -> $crate::AccessToken }
    };
    (access_token_expires_at $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason access_token_expires_at(&self) -> ::std::time::SystemTime }
    };
    (refresh $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason refresh(&self)
            -> ::std::future::Ready<::std::result::Result<$crate::AccessToken, $crate::Error>> }
    };
    (refreshed_token $g:tt $on:tt $state:tt $reason:ident) => {
        $crate::__wrong_call! { @ $g $on $state $reason refreshed_token(&self, _: &$crate::AccessToken)
            -> ::std::future::Ready<$crate::AccessToken> }
    };
    (@ [$($generics:tt)*] [$on:ty] [$state:ty] $reason:ident $method:ident $arguments:tt -> $returned:ty) => {
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
    ($call:ident $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!("`", ::std::stringify!($call), "` is not a call of digime that can be wrong in a state"));
    };
}
