use digime::{ApplicationId, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn ask(welcome: Welcome, receipts: Receipts, client: Client) -> Result<(), Error> {
    let session = welcome.flow(&client).establish_session().await?;
    let awaiting = receipts.flow(&client).create_postbox(session).await?;
    println!("{}", awaiting.url());
    Ok(())
}

fn main() {}
