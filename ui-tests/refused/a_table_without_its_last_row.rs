use digime::extend::ExtensionState;
use digime::{Authorized, Flow, Unstarted};

pub struct Paused<C>(Flow<C, Authorized>);

impl<C> ExtensionState for Paused<C> {}

digime::reasons! {
    HasNothingToPause: "cannot pause yet", "nothing is running", "authorize the flow first";
}

digime::calls! {
    trait Pause<C> {
        fn pause(self) -> Flow<C, Paused<C>>
        where
            Self: CanBePaused<C>,
        {
            Authorized => pause;
            Unstarted: HasNothingToPause;
        }
    }
}

fn pause<C>(flow: Flow<C, Authorized>) -> Flow<C, Paused<C>> {
    flow.extend(Paused)
}

fn main() {}
