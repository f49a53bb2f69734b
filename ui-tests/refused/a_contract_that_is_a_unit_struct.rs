use digime::digime_contract;

#[digime_contract(once)]
struct Welcome;

fn main() {}
