use digime::{
    ApplicationId, AwaitingCallback, ContractId, PrivateKey, RedirectUri, Verifier, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn copy(awaiting: ReceiptsFlow<AwaitingCallback<Verifier>>) {
    let other = awaiting.clone();
    println!("{} {}", awaiting.url(), other.url());
}

fn main() {}
