use digime::{
    ApplicationId, Callback, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(welcome: Welcome, client: Client, callback: Callback) -> Result<(), Error> {
    let flow = welcome.flow(&client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    let authorized = awaiting.exchange_code(callback).await?;
    println!("{:?}", authorized.access_token());
    Ok(())
}

fn main() {}
