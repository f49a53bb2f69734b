use digime::{Authorized, Flow, Unstarted};

fn authorize<C>(
    flow: Flow<C, Unstarted>,
    other: impl FnOnce() -> Authorized,
) -> Flow<C, Authorized> {
    flow.extend(|_| other())
}

fn main() {}
