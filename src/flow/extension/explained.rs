//! The calls of this library on states of other libraries, where they are wrong.
//!
//! Each call has a hidden method on every state for which a library explains it. Its bound can't hold, and leads the compiler to
//! the library's reason: from [`Offers`], which is asked of the flow, to [`WrongCall`], which is asked of the state, to the reason.

use crate::flow::Flow;

/// A state for which a library explains a call. [`wrong_calls!`](crate::wrong_calls) implements it.
pub trait Explained<Call> {}

/// A call that is wrong in a state. [`wrong_calls!`](crate::wrong_calls) implements it with a bound that can't hold: the reason.
pub trait WrongCall<Call> {
    /// The body of a method that can't be called.
    fn never<T>() -> T;
}

/// A flow that has a call.
#[diagnostic::on_unimplemented(
    message = "this call is not offered in the state of `{Self}`",
    label = "not offered here",
    note = "the documentation of the state says what comes next"
)]
pub trait Offers<Call> {
    /// The body of a method that can't be called.
    fn never<T>() -> T;
}

// The impl is for every type, so that the compiler lists no flows that have the call.
impl<F: InState<State: WrongCall<Call>>, Call> Offers<Call> for F {
    fn never<T>() -> T {
        F::State::never()
    }
}

/// A flow, by its state.
#[expect(unnameable_types, reason = "it appears only in the bounds of an impl")]
pub trait InState {
    /// The state.
    type State;
}

impl<C, S> InState for Flow<C, S> {
    type State = S;
}

/// Defines the calls that a library can explain, with a hidden method for each.
///
/// It has to be expanded in the module of `Flow`, as [`wrong_calls`](super::super::wrong_calls) has.
macro_rules! explained_calls {
    ($($method:ident $arguments:tt -> $returned:ty: $offers:tt $open:tt $module:tt $colons:tt $call:tt $close:tt;)*) => {
        /// The calls of flows, by their names: the parameters of the traits that
        /// [`wrong_calls!`](crate::wrong_calls) writes.
        pub mod call {
            $(
                #[doc = concat!("[`", stringify!($method), "`](crate::Flow::", stringify!($method), ")")]
                #[allow(non_camel_case_types, reason = "it is called as the method is")]
                #[derive(Debug)]
                pub enum $method {}
            )*
        }

        $(
            impl<C, S: Explained<call::$call>> Flow<C, S> {
                #[doc(hidden)]
                pub fn $method $arguments -> $returned
                where
                    Self: $offers $open $module $colons $call $close,
                {
                    <Self as Offers<call::$call>>::never()
                }
            }
        )*
    };
}

pub(crate) use explained_calls;
