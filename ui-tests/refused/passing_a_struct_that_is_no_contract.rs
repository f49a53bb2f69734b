use digime::{Client, Contract};

struct Receipts;

fn begin(contract: &impl Contract, client: &Client) {
    let flow = contract.flow(client);
    println!("{flow:?}");
}

fn main() {
    begin(&Receipts, &Client::new());
}
