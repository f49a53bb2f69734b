use digime::{ApplicationId, Client, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(kind = ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn begin(receipts: Receipts, client: &Client) {
    let flow = receipts.flow(client);
    drop(flow);
}

fn main() {}
