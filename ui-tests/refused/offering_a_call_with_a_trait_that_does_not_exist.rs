use digime::extend::ExtensionState;
use digime::{Authorized, Flow};

pub struct Paused<C>(Flow<C, Authorized>);

impl<C> ExtensionState for Paused<C> {}

digime::reasons! {
    IsPaused: "cannot do this while the flow is paused", "it is paused", "resume it first";
}

digime::wrong_calls! {
    impl[C] Paused<C> {
        push => Puase;
        _: IsPaused;
    }
}

fn main() {}
