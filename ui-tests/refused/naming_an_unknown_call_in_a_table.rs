use digime::extend::ExtensionState;
use digime::{Authorized, Flow};

struct Paused<C> {
    flow: Flow<C, Authorized>,
}

impl<C> ExtensionState for Paused<C> {}

digime::reasons! {
    IsResumedFirst: "cannot push: the flow is paused", "it is paused", "resume it first: `paused.resume()`";
}

digime::wrong_calls! {
    impl[C] Paused<C> {
        psuh: IsResumedFirst;
    }
}

fn main() {}
