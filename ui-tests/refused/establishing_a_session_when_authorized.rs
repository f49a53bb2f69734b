use digime::{
    ApplicationId, Authorized, ContractId, Error, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn establish(authorized: ReceiptsFlow<Authorized>) -> Result<(), Error> {
    let session = authorized.establish_session().await?;
    println!("{:?}", session.expires_at());
    Ok(())
}

fn main() {}
