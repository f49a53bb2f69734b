use digime::{
    ApplicationId, Callback, ContractId, Error, PostboxItem, PrivateKey, RedirectUri, Suspended,
    Verifier, digime_contract,
};
use digime_import::{AwaitingConsent, Import, ImportFlow};

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn go_on(
    parked: Suspended<Receipts, AwaitingConsent<Verifier>>,
    callback: Callback,
) -> Result<(), Error> {
    let connected = parked.exchange_code(callback).await?;
    let delivery = connected.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    let awaiting = connected.reauthorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
