//! How a call in a wrong state is answered.
//!
//! For every method and every state in which it is wrong there is a hidden method of the same name, whose bound can't
//! hold. So the compiler points at the call and says what stands in [`super::reasons`], once, in place of "method not
//! found"; and since the hidden method returns what the right one would, nothing behind the call is an error too.
//!
//! That the bound can't hold is checked: the body of a hidden method needs the supertrait of all reasons, which nothing
//! implements. A bound that some type fulfils, such as `C: OngoingContract`, does not compile.

/// Defines the hidden methods of a state: `method(arguments) -> what the right one returns where who: reason;`.
///
/// It stands in the module of `Flow`, and its tokens come from the table, so that the compiler names the method as
/// `Flow::push` and shows the line of the table and no macro.
macro_rules! wrong_calls {
    ($(impl[$($generics:tt)*] $flow:ty { $(
        $method:tt($($argument:ty),*) -> $returned:ty where $subject:ty: $reason:tt;
    )* })*) => {
        $(
        #[allow(clippy::should_implement_trait, reason = "a twin stands in for a trait that must not be")]
        impl<$($generics)*> $flow { $(
            #[doc(hidden)]
            pub fn $method(&self $(, _: $argument)*) -> $returned
            where
                for<'impossible> $subject: $reason,
            {
                // It compiles only where the bound is a reason, which no type has.
                <$subject as $crate::flow::reasons::sealed::Never>::never()
            }
        )* })*
    };
}

pub(crate) use wrong_calls;
