use digime::{ApplicationId, Client, ContractId, PrivateKey, RedirectUri, digime_contract};
use digime_import::{Import, ImportFlow};

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn show(receipts: &Receipts, client: &Client) {
    let flow = receipts.flow(client);
    println!("open {}", flow.url());
}

fn main() {}
