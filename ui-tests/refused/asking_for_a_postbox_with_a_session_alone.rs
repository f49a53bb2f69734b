use digime::{
    ApplicationId, Callback, Client, ContractId, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn ask(welcome: Welcome, callback: Callback) -> Result<(), digime::Error> {
    let session = welcome.flow(&Client::new()).establish_session().await?;
    let awaiting = session.create_postbox().await?;
    println!("{}", awaiting.url());
    let ready = awaiting.receive_postbox(callback)?;
    println!("{}", ready.postbox_id());
    Ok(())
}

fn main() {}
