use digime::{Authorized, Flow};

fn steal<C>(authorized: Flow<C, Authorized>) -> Authorized {
    authorized.into_state()
}

fn main() {}
