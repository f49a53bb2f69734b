use digime::{
    ApplicationId, Callback, Client, ContractId, Error, PrivateKey, RedirectUri, Session,
    digime_contract,
};
use digime_import::Import;

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn ask(
    receipts: &Receipts,
    session: Session<Receipts>,
    callback: Callback,
) -> Result<(), Error> {
    let awaiting = receipts
        .flow(&Client::new())
        .create_postbox(session)
        .await?;
    let authorized = awaiting.exchange_code(callback).await?;
    println!("{:?}", authorized.access_token());
    Ok(())
}

fn main() {}
