use digime::{
    ApplicationId, Callback, Client, ContractId, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(once, ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn authorize(receipts: Receipts, callback: Callback) -> Result<(), digime::Error> {
    let flow = receipts.flow(&Client::new());
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    let authorized = awaiting.exchange_code(callback).await?;
    println!("{}", authorized.postbox_id());
    Ok(())
}

fn main() {}
