use digime::{
    ApplicationId, ContractId, Error, PostboxReady, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn refresh(ready: WelcomeFlow<PostboxReady>) -> Result<(), Error> {
    let token = ready.refresh().await?;
    println!("{:?}", token.secret().len());
    Ok(())
}

fn main() {}
