use digime::{ApplicationId, Client, ContractId, PrivateKey, RedirectUri, digime_contract};

struct Weekly;

#[digime_contract(ongoing, kind = Weekly)]
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
