use digime::Flow;
use digime_import::Connected;

fn show<C>(connected: Flow<C, Connected>) {
    println!("{:?}", connected.access_token());
}

fn main() {}
