use digime::{ApplicationId, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract};
use digime_import::{Import, ImportFlow};

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn renew(receipts: &Receipts, client: &Client) -> Result<(), Error> {
    let awaiting = receipts.flow(client).reauthorize().await?;
    println!("open {}", awaiting.url());
    Ok(())
}

fn main() {}
