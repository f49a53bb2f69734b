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

fn token(awaiting: ReceiptsFlow<AwaitingCallback<Verifier>>) {
    println!("{:?}", awaiting.access_token());
}

fn main() {}
