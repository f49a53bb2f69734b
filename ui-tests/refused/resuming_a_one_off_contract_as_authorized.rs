use digime::{
    ApplicationId, Authorized, Client, ContractId, PrivateKey, RedirectUri, Suspended,
    digime_contract,
};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn go_on(stored: Suspended<Welcome, Authorized>, welcome: &Welcome) -> Result<(), digime::Error> {
    let authorized = stored.resume(welcome, &Client::new())?;
    println!("{:?}", authorized.access_token());
    Ok(())
}

fn main() {}
