use digime::{ApplicationId, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn ask_twice(receipts: Receipts, client: Client) -> Result<(), Error> {
    let flow = receipts.flow(&client);
    let session = flow.establish_session().await?;
    let one = flow.create_postbox(session).await?;
    let other = receipts.flow(&client).create_postbox(session).await?;
    println!("{} {}", one.url(), other.url());
    Ok(())
}

fn main() {}
