use digime::{
    ApplicationId, Authorized, AwaitingCallback, ContractId, PrivateKey, RedirectUri, Verifier,
    digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn token(authorized: &ReceiptsFlow<Authorized>) {
    println!("{:?}", authorized.access_token());
}

fn pass(awaiting: ReceiptsFlow<AwaitingCallback<Verifier>>) {
    token(&awaiting);
}

fn main() {}
