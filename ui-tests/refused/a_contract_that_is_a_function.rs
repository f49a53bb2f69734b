use digime::digime_contract;

#[digime_contract(once)]
/// Not a struct.
fn welcome() {}

fn main() {}
