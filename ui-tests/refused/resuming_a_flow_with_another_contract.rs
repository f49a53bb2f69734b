use digime::{
    ApplicationId, AwaitingCallback, Client, ContractId, PrivateKey, RedirectUri, Suspended,
    Verifier, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[digime_contract(ongoing)]
struct Results {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn go_on(
    parked: Suspended<Receipts, AwaitingCallback<Verifier>>,
    results: &Results,
) -> Result<(), digime::Error> {
    let awaiting = parked.resume(results, &Client::new())?;
    println!("{}", awaiting.url());
    Ok(())
}

fn main() {}
