use digime::digime_contract;

#[digime_contract(once)]
mod welcome {}

fn main() {}
