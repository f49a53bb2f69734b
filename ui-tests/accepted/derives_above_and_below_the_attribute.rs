use digime::digime_contract;

#[derive(Clone)]
#[digime_contract(ongoing)]
#[derive(Debug)]
struct Receipts {
    application_id: digime::ApplicationId,
    contract_id: digime::ContractId,
    #[digime(private_key)]
    signing_key: digime::PrivateKey,
    redirect_uri: digime::RedirectUri,
}

fn main() {
    fn show(receipts: &Receipts) {
        println!("{:?}", receipts.clone());
    }
    let _ = show;
}
