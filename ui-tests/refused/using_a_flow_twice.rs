use digime::{
    ApplicationId, AwaitingCallback, Callback, ContractId, Error, PrivateKey, RedirectUri,
    Verifier, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn exchange(
    awaiting: ReceiptsFlow<AwaitingCallback<Verifier>>,
    callback: Callback,
) -> Result<(), Error> {
    let one = awaiting.exchange_code(callback.clone()).await?;
    let other = awaiting.exchange_code(callback).await?;
    println!("{:?} {:?}", one.access_token(), other.access_token());
    Ok(())
}

fn main() {}
