mod framework {
    pub mod postbox {
        pub use ::digime::*;
    }
}

#[framework::postbox::digime_contract(ongoing, crate = crate::framework::postbox)]
struct Receipts {
    application_id: digime::ApplicationId,
    contract_id: digime::ContractId,
    private_key: digime::PrivateKey,
    redirect_uri: digime::RedirectUri,
}

fn main() {
    fn begin(receipts: &Receipts, client: &digime::Client) -> ReceiptsFlow {
        receipts.flow(client)
    }
    let _ = begin;
}
