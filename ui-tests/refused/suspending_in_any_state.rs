use digime::Flow;

fn park<C, S>(flow: Flow<C, S>) {
    let parked = flow.suspend();
}

fn main() {}
