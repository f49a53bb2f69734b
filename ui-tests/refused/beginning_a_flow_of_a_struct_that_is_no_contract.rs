use digime::{Client, Contract};

struct Receipts;

fn begin(receipts: &Receipts, client: &Client) {
    let flow = receipts.flow(client);
    println!("{flow:?}");
}

fn main() {}
