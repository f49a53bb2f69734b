use digime::{ApplicationId, Client, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn park(receipts: &Receipts) {
    let flow = receipts.flow(&Client::new());
    let parked = flow.suspend();
    println!("{parked:?}");
}

fn main() {}
