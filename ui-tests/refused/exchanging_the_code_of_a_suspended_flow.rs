use digime::{
    ApplicationId, AwaitingCallback, Callback, ContractId, PostboxItem, PrivateKey, RedirectUri,
    Suspended, Verifier, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn go_on(
    parked: Suspended<Receipts, AwaitingCallback<Verifier>>,
    callback: Callback,
) -> Result<(), digime::Error> {
    let authorized = parked.exchange_code(callback).await?;
    let _ = authorized.push(PostboxItem::file("receipt.pdf")).await?;
    Ok(())
}

fn main() {}
