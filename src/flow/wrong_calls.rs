//! How a call in a wrong state is answered.
//!
//! For every method and every state in which it is wrong there is a hidden method of the same name, its twin, with a
//! bound that can't hold. So the compiler points at the call and prints one message from [`super::reasons`] in place of
//! "method not found". A twin returns what the right method returns, so nothing after the call is an error too.
//!
//! The compiler checks that the bound can't hold: the body of a twin needs the supertrait of all reasons, which nothing
//! implements. A bound that some type fulfils, such as `C: OngoingContract`, does not compile.

/// Defines the twins.
///
/// For flows it takes a table: each method with its signature, then a row `State: Reason;` for each state in which the
/// method is wrong. A row about a generic state names the parameter: `AwaitingCallback<V>: Reason for any V;`. Where
/// what a method returns depends on the state, it has a `-> Type { rows }` for each type.
///
/// For another type it takes `impl[generics] Type: Reason { method(arguments) -> Type; }`.
///
/// It has to be expanded in the module of `Flow` or of the other type, and must not pass the tokens on to a second macro:
/// then the compiler names the twin `Flow::push`, and shows the row of the table and no macro.
macro_rules! wrong_calls {
    ($($method:ident $arguments:tt $(-> $returned:ty {
        $($state:ty: $reason:tt $(for any $parameter:ident)?;)+
    })+)+) => {
        $($($(
        #[allow(clippy::should_implement_trait, reason = "a flow must not implement the trait of `clone`")]
        #[allow(clippy::return_self_not_must_use, reason = "the twin of `clone` can't be called")]
        impl<C $(, $parameter)?> Flow<C, $state> {
            #[doc(hidden)]
            pub fn $method $arguments -> $returned
            where
                for<'impossible> $state: $reason,
            {
                // This compiles only if the bound is a reason, which no type has.
                <$state as $crate::flow::reasons::sealed::Never>::never()
            }
        }
        )+)+)+
    };

    ($(impl[$($generics:tt)+] $subject:ty: $reason:tt {
        $($method:ident $arguments:tt -> $returned:ty;)+
    })+) => {
        $(
        #[allow(clippy::should_implement_trait, reason = "a session must not implement the trait of `clone`")]
        impl<$($generics)+> $subject { $(
            #[doc(hidden)]
            pub fn $method $arguments -> $returned
            where
                for<'impossible> $subject: $reason,
            {
                <$subject as $crate::flow::reasons::sealed::Never>::never()
            }
        )+ }
        )+
    };
}

pub(crate) use wrong_calls;
