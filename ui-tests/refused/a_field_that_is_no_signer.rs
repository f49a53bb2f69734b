use digime::{ApplicationId, Client, ContractId, RedirectUri, digime_contract};

struct KmsKey {
    arn: String,
}

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    #[digime(private_key)]
    key: KmsKey,
    redirect_uri: RedirectUri,
}

fn begin(receipts: &Receipts, client: &Client) -> ReceiptsFlow {
    println!("{}", receipts.key.arn);
    receipts.flow(client)
}

fn main() {
    let _ = begin;
}
