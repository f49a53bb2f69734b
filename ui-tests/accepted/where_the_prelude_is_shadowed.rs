#![deny(missing_docs, missing_debug_implementations)]
//! Names of the prelude that mean something else.

#[allow(dead_code)]
mod shadowed {
    //! A crate of its own, almost.
    struct Option;
    struct Result;
    struct Some;
    struct Ok;
    struct Vec;
    struct String;
    struct Box;
    trait Into {}
    trait Clone {}
    trait Sized {}
    trait Send {}
    mod std {}
    mod core {}

    /// A contract.
    #[digime::digime_contract(once)]
    #[derive(::std::fmt::Debug)]
    pub struct Welcome {
        application_id: digime::ApplicationId,
        contract_id: digime::ContractId,
        private_key: digime::PrivateKey,
        redirect_uri: digime::RedirectUri,
    }

    /// Another, with literals.
    #[digime::digime_contract(
        ongoing,
        application_id = "a",
        contract_id = "c",
        redirect_uri = "https://shop.example/digime"
    )]
    #[derive(::std::fmt::Debug)]
    pub struct Receipts {
        private_key: digime::PrivateKey,
    }
}

fn main() {
    fn begin(welcome: &shadowed::Welcome, client: &digime::Client) -> shadowed::WelcomeFlow {
        welcome.flow(client)
    }
    let _ = begin;
}
