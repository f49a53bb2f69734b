//! The macros for libraries take states with any parameters and bounds, and generated names collide with none.

use digime::extend::ExtensionState;
use digime::{Authorized, AwaitingCallback, Flow};

pub struct Paused<S, T: Send, U> {
    flow: Flow<S, Authorized>,
    notes: (T, U),
}

impl<S, T: Send, U> ExtensionState for Paused<S, T, U> {}

digime::reasons! {
    /// The user has not answered.
    pub HasNothingToPause: "cannot pause yet", "nothing is running", "authorize the flow first";
    pub IsPaused: "the flow is paused", "it is paused", "resume it first";
}

digime::calls! {
    /// Pauses flows.
    pub trait Pause<S> {
        /// Pauses the flow.
        fn pause(self) -> Flow<S, Paused<S, u8, String>>
        where
            Self: CanBePaused<S>,
        {
            Authorized => pause;
            AwaitingCallback<V>: HasNothingToPause, for any V;
            Paused<S, T, U>: IsPaused, for any T: Send, U;
            _: "cannot pause `{Self}`", "only an authorized flow is paused", "authorize it first";
        }

        /// Resumes the flow.
        fn unpause(self) -> Flow<S, Authorized>
        where
            Self: CanGoOn<S>,
        {
            Paused<S, T, U> => unpause, for any T: Send, U;
            _: "cannot resume: `{Self}` is not paused", "only a paused flow is resumed", "pause it first";
        }
    }
}

digime::wrong_calls! {
    impl[S, T: Send, U] Paused<S, T, U> {
        push => self::Pause;
        _: IsPaused;
    }
}

fn pause<C>(flow: Flow<C, Authorized>) -> Flow<C, Paused<C, u8, String>> {
    flow.extend(|flow| Paused {
        flow,
        notes: (7, "lunch".to_owned()),
    })
}

fn unpause<C, T: Send, U>(flow: Flow<C, Paused<C, T, U>>) -> Flow<C, Authorized> {
    let Paused { flow, notes: _ } = flow.into_state();
    flow
}

fn main() {}
