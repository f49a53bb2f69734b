use digime::digime_contract;

#[digime_contract(once)]
enum Welcome {
    Here,
}

fn begin(welcome: &Welcome, client: &digime::Client) -> WelcomeFlow {
    welcome.flow(client)
}

fn main() {}
