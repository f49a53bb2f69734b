use digime::{
    ApplicationId, Callback, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(receipts: Receipts, client: Client, callback: Callback) -> Result<(), Error> {
    let flow = receipts.flow(&client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    let ready = awaiting.receive_postbox(callback)?;
    println!("{}", ready.postbox_id());
    Ok(())
}

fn main() {}
