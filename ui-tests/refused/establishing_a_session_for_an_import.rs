use digime::{ApplicationId, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract};
use digime_import::Import;

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn ask(receipts: &Receipts, client: &Client) -> Result<(), Error> {
    let session = receipts.flow(client).establish_session().await?;
    println!("{:?}", session.expires_at());
    Ok(())
}

fn main() {}
