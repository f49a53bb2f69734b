use digime::{AwaitingCallback, Flow};

fn park<C, V>(awaiting: Flow<C, AwaitingCallback<V>>) {
    let parked = awaiting.suspend();
}

fn main() {}
