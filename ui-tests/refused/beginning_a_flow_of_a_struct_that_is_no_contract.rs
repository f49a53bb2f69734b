use digime::{Client, Flow};

struct Receipts;

fn begin(receipts: &Receipts, client: &Client) {
    let flow = Flow::new(receipts, client);
    println!("{flow:?}");
}

fn main() {}
