use digime::{ApplicationId, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract};
use digime_import::{ConsentOptions, ImportFlow};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn ask(receipts: &Receipts, client: &Client) -> Result<(), Error> {
    let options = ConsentOptions::new().locale("nl");
    let awaiting = receipts.flow(client).authorize_with(options).await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
