//! The macro with which a library adds calls to flows.

/// Adds calls to flows: an extension trait whose methods take a flow in some states, and explain themselves in the others.
///
/// Methods of a state that only borrow the flow need no macro: see [`ExtensionState`](crate::extend::ExtensionState). A
/// method that consumes the flow, or belongs to a state of this library, is written here.
///
/// Each method has a signature, a trait that the macro defines for it, and a row for each state:
///
/// - `State => function;` where the call is right. The function has the method's parameters, with the flow first.
/// - `State: Reason;` where it is wrong. [`reasons!`](crate::reasons) defines the reason, which is the text of the compile
///   error.
/// - `_: "message", "label", "note";` for every other state. `{Self}` in the texts is the flow's type. This row is the last.
///
/// A row about a state with parameters of its own names them, behind a comma: `AwaitingCallback<V>: Reason, for any V;`, or
/// `Held<C, T, U> => function, for any T: Send, U;`. The parameter of the trait is the contract. `Self` is the flow.
///
/// An `async fn` becomes a method that returns a [`Call`](crate::extend::Call), a boxed future whose type does not depend on the
/// state. So a wrong call is one error, even if the result is awaited and used. Its arguments have to be owned. It runs in a
/// `tracing` span with the contract, the state and the name of the call, as the calls of this library do. The log says how it ended
/// if it returns a `Result` with [`Error`](crate::Error) or [`Rejected`](crate::Rejected).
///
/// On a [`Suspended`](crate::Suspended) flow each method is a compile error that says to resume the flow first.
///
/// ```
/// use digime::extend::ExtensionState;
/// use digime::{Authorized, AwaitingCallback, Error, Flow, PostboxReady, Rejected, Unstarted};
///
/// /// The state of a flow whose pushes a person has to approve.
/// pub struct UnderReview<C> {
///     flow: Flow<C, Authorized>,
/// }
///
/// impl<C> ExtensionState for UnderReview<C> {}
///
/// digime::reasons! {
///     pub HasNothingToReview:
///         "cannot submit yet: the user has not answered",
///         "there is nothing to review",
///         "exchange the code first: `let authorized = awaiting.exchange_code(callback).await?;`, then submit";
/// }
///
/// digime::calls! {
///     /// Reviews before pushes.
///     pub trait Review<C> {
///         /// Submits the flow for a review.
///         fn submit(self) -> Flow<C, UnderReview<C>>
///         where
///             Self: CanBeSubmitted<C>,
///         {
///             Authorized => submit;
///             Unstarted: HasNothingToReview;
///             AwaitingCallback<V>: HasNothingToReview, for any V;
///             _:  "cannot submit: a `{Self}` is not reviewed",
///                 "only an authorized flow is submitted",
///                 "submit the flow when it is authorized: `authorized.submit()`";
///         }
///
///         /// Ends the review.
///         ///
///         /// # Errors
///         /// [`Error::Extension`] if nobody signs for it. [`Rejected`] gives the flow back.
///         async fn approve(self, by: String) -> Result<Flow<C, Authorized>, Rejected<Self>>
///         where
///             Self: CanBeApproved<C>,
///         {
///             UnderReview<C> => approve;
///             _:  "cannot approve: `{Self}` is not under review",
///                 "only a flow under review is approved",
///                 "submit the flow first: `let under_review = authorized.submit();`";
///         }
///     }
/// }
///
/// fn submit<C>(flow: Flow<C, Authorized>) -> Flow<C, UnderReview<C>> {
///     flow.extend(|flow| UnderReview { flow })
/// }
///
/// async fn approve<C>(
///     flow: Flow<C, UnderReview<C>>,
///     by: String,
/// ) -> Result<Flow<C, Authorized>, Rejected<Flow<C, UnderReview<C>>>> {
///     if by.is_empty() {
///         return Err(Rejected::new(flow, Error::extension("nobody has signed")));
///     }
///     Ok(flow.into_state().flow)
/// }
///
/// async fn run<C>(authorized: Flow<C, Authorized>) -> Result<(), Error> {
///     let under_review = authorized.submit();
///     let authorized = under_review.approve("Ada".to_owned()).await?;
///     Ok(())
/// }
/// ```
#[macro_export]
macro_rules! calls {
    ($(#[$attribute:meta])* $visibility:vis trait $name:ident<$c:ident> { $($methods:tt)* }) => {
        $crate::__calls! {
            @methods [$(#[$attribute])*] [$visibility] $name [$c] {} {} $($methods)*
        }
    };
}

/// Does the work of [`calls!`].
///
/// A method is bound by the trait that the user names. A type has that trait if it has the trait of the rows, which is called as
/// the method is. So rustc reports the reason of the row, and lists no other types.
#[doc(hidden)]
#[macro_export]
macro_rules! __calls {
    // All methods are read: the trait and its impl for every flow.
    (@methods [$($attributes:tt)*] [$visibility:vis] $name:ident [$c:ident] { $($signatures:tt)* } { $($bodies:tt)* }) => {
        $($attributes)*
        $visibility trait $name<$c>: Sized {
            $($signatures)*
        }

        impl<$c, AnyState> $name<$c> for $crate::Flow<$c, AnyState> {
            $($bodies)*
        }

        #[doc(hidden)]
        impl<$c, AnyState, AnyData> $name<$c> for $crate::Suspended<$c, AnyState, AnyData>
        where
            AnyState: $crate::suspended::Durable,
        {
            $($bodies)*
        }
    };

    // The four sorts of methods.
    (@methods $attributes:tt $visibility:tt $name:ident $c:tt $signatures:tt $bodies:tt
        $(#[$attribute:meta])* fn $method:tt(self $($arguments:tt)*) $($rest:tt)*
    ) => {
        $crate::__calls! {
            @method $attributes $visibility $name $c $signatures $bodies
            [$(#[$attribute])*] $method [] [self] [self] ($($arguments)*) $($rest)*
        }
    };
    (@methods $attributes:tt $visibility:tt $name:ident $c:tt $signatures:tt $bodies:tt
        $(#[$attribute:meta])* fn $method:tt(&self $($arguments:tt)*) $($rest:tt)*
    ) => {
        $crate::__calls! {
            @method $attributes $visibility $name $c $signatures $bodies
            [$(#[$attribute])*] $method [] [&self] [self] ($($arguments)*) $($rest)*
        }
    };
    (@methods $attributes:tt $visibility:tt $name:ident $c:tt $signatures:tt $bodies:tt
        $(#[$attribute:meta])* async fn $method:tt(self $($arguments:tt)*) $($rest:tt)*
    ) => {
        $crate::__calls! {
            @method $attributes $visibility $name $c $signatures $bodies
            [$(#[$attribute])*] $method ['call] [self] [self] ($($arguments)*) $($rest)*
        }
    };
    (@methods $attributes:tt $visibility:tt $name:ident $c:tt $signatures:tt $bodies:tt
        $(#[$attribute:meta])* async fn $method:tt(&self $($arguments:tt)*) $($rest:tt)*
    ) => {
        $crate::__calls! {
            @method $attributes $visibility $name $c $signatures $bodies
            [$(#[$attribute])*] $method ['call] [&'call self] [self] ($($arguments)*) $($rest)*
        }
    };

    // One method: its traits, and its signature and body for the trait and its impl. The bound is spelled with the user's
    // tokens, so that errors show the user's line.
    (@method $attributes:tt [$visibility:vis] $name:ident [$c:ident] { $($signatures:tt)* } { $($bodies:tt)* }
        [$($docs:tt)*] $method:tt [$($call:lifetime)?] [$($receiver:tt)*] [$this:tt]
        ($(, $argument:ident: $type:ty)* $(,)?) -> $output:ty
        where Self: $can:tt $open:tt $contract:tt $close:tt $(,)? { $($rows:tt)* } $($rest:tt)*
    ) => {
        $crate::__calls! {
            @rows [$visibility] $can $method [$c] [$($call)?] [$($receiver)*] [$this] [$($argument: $type),*] [$output] $($rows)*
        }

        $crate::__calls! {
            @methods $attributes [$visibility] $name [$c]
            {
                $($signatures)*
                $($docs)*
                fn $method$(<$call>)?($($receiver)* $(, $argument: $type)*)
                    -> $crate::__calls!(@output [$($call)?] $output)
                where
                    Self: $can $open $contract $close$(, Self: $call)?;
            }
            {
                $($bodies)*
                fn $method$(<$call>)?($($receiver)* $(, $argument: $type)*)
                    -> $crate::__calls!(@output [$($call)?] $output)
                where
                    Self: $can<$c>$(, Self: $call)?
                {
                    $can::call($this $(, $argument)*)
                }
            }
            $($rest)*
        }
    };

    (@output [] $output:ty) => { $output };
    (@output [$call:lifetime] $output:ty) => { $crate::extend::Call<$call, $output> };

    (@run [] $this:tt $state:ty, $method:tt, $output:ty, $run:expr) => { $run };
    (@run [$call:lifetime] $this:tt $state:ty, $method:tt, $output:ty, $run:expr) => {{
        let span = $crate::__private::CallSpan::new(&$this, ::std::stringify!($state), ::std::stringify!($method));
        ::std::boxed::Box::pin(span.of($run, |output: &$output| {
            #[allow(unused_imports)]
            use $crate::__private::{KnownEnding as _, UnknownEnding as _};
            (&$crate::__private::Returned(output)).ending()
        }))
    }};

    // The last row: the trait of all rows, with the text for every other state.
    (@rows [$visibility:vis] $can:tt $method:tt [$c:ident] [$($call:lifetime)?] [$($receiver:tt)*] [$this:tt]
        [$($argument:ident: $type:ty),*] [$output:ty] _: $message:literal, $label:literal, $note:literal $(;)?
    ) => {
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #[diagnostic::on_unimplemented(message = $message, label = $label, note = $note)]
        $visibility trait $method<$c>: Sized {
            fn call$(<$call>)?($($receiver)* $(, $argument: $type)*)
                -> $crate::__calls!(@output [$($call)?] $output) $(where Self: $call)?;
        }

        #[doc = ::std::concat!("A flow that has the call `", ::std::stringify!($method), "`.")]
        #[diagnostic::on_unimplemented(message = $message, label = $label, note = $note)]
        $visibility trait $can<$c>: Sized {
            #[doc(hidden)]
            fn call$(<$call>)?($($receiver)* $(, $argument: $type)*)
                -> $crate::__calls!(@output [$($call)?] $output) $(where Self: $call)?;
        }

        impl<$c, AnyFlow: $method<$c>> $can<$c> for AnyFlow {
            fn call$(<$call>)?($($receiver)* $(, $argument: $type)*)
                -> $crate::__calls!(@output [$($call)?] $output) $(where Self: $call)?
            {
                $method::call($this $(, $argument)*)
            }
        }

        impl<$c, AnyState, AnyData> $method<$c> for $crate::Suspended<$c, AnyState, AnyData>
        where
            AnyState: $crate::suspended::Durable,
            for<'impossible> AnyState: $crate::reasons::IsResumed,
        {
            #[allow(unused_variables)]
            fn call$(<$call>)?($($receiver)* $(, $argument: $type)*)
                -> $crate::__calls!(@output [$($call)?] $output) $(where Self: $call)?
            {
                <AnyState as $crate::__private::Never>::never()
            }
        }
    };
    (@rows [$visibility:vis] $can:tt $method:tt [$c:ident] [$($call:lifetime)?] [$($receiver:tt)*] [$this:tt]
        [$($argument:ident: $type:ty),*] [$output:ty] $(_ $($rows:tt)*)?
    ) => {
        ::std::compile_error! { ::std::concat!(
            "the last row of `", ::std::stringify!($method), "` is about every other state: ",
            "`_: \"message\", \"label\", \"note\";`, and no row comes after it"
        ) }
    };
    // The states in which the call is right.
    (@rows [$visibility:vis] $can:tt $method:tt [$c:ident] [$($call:lifetime)?] [$($receiver:tt)*] [$this:tt]
        [$($argument:ident: $type:ty),*] [$output:ty]
        $state:ty => $function:path $(, for any $($parameter:ident $(: $bound:path)?),+)?; $($rows:tt)*
    ) => {
        #[diagnostic::do_not_recommend]
        impl<$c $(, $($parameter $(: $bound)?),+)?> $method<$c> for $crate::Flow<$c, $state> {
            fn call$(<$call>)?($($receiver)* $(, $argument: $type)*)
                -> $crate::__calls!(@output [$($call)?] $output) $(where Self: $call)?
            {
                $crate::__calls!(@run [$($call)?] $this $state, $method, $output, $function($this $(, $argument)*))
            }
        }

        $crate::__calls! {
            @rows [$visibility] $can $method [$c] [$($call)?] [$($receiver)*] [$this] [$($argument: $type),*] [$output] $($rows)*
        }
    };
    // The states in which it is wrong.
    (@rows [$visibility:vis] $can:tt $method:tt [$c:ident] [$($call:lifetime)?] [$($receiver:tt)*] [$this:tt]
        [$($argument:ident: $type:ty),*] [$output:ty]
        $state:ty: $reason:tt $(,)? $(for any $($parameter:ident $(: $bound:path)?),+)?; $($rows:tt)*
    ) => {
        impl<$c $(, $($parameter $(: $bound)?),+)?> $method<$c> for $crate::Flow<$c, $state>
        where
            for<'impossible> $state: $reason,
        {
            #[allow(unused_variables)]
            fn call$(<$call>)?($($receiver)* $(, $argument: $type)*)
                -> $crate::__calls!(@output [$($call)?] $output) $(where Self: $call)?
            {
                <$state as $crate::__private::Never>::never()
            }
        }

        $crate::__calls! {
            @rows [$visibility] $can $method [$c] [$($call)?] [$($receiver)*] [$this] [$($argument: $type),*] [$output] $($rows)*
        }
    };
}
