use digime::{ApplicationId, Client, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn show(receipts: Receipts, client: Client) {
    println!("{}", receipts.flow(&client).url());
}

fn main() {}
