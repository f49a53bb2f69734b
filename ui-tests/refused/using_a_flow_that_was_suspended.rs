use digime::{
    ApplicationId, AwaitingCallback, Callback, ContractId, Flow, PrivateKey, RedirectUri, Verifier,
    digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn go_on(
    awaiting: Flow<Receipts, AwaitingCallback<Verifier>>,
    callback: Callback,
) -> Result<(), digime::Error> {
    let parked = serde_json::to_string(&awaiting.suspend());
    let authorized = awaiting.exchange_code(callback).await?;
    println!("{parked:?} {}", authorized.postbox_id());
    Ok(())
}

fn main() {}
