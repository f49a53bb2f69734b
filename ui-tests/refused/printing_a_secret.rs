use digime::{ApplicationId, Authorized, ContractId, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn print(authorized: ReceiptsFlow<Authorized>) {
    println!("{}", authorized.access_token());
}

fn main() {}
