use digime::{
    ApplicationId, Authorized, Client, ContractId, Error, PostboxItem, PrivateKey, RedirectUri,
    Suspended, digime_contract,
};
use digime_import::Import;

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(row: &str, receipts: &Receipts, client: &Client) -> Result<(), Error> {
    let stored = Suspended::<Receipts, Authorized>::from_json(row)?;
    let authorized = stored.resume(receipts, client)?;
    let delivery = authorized.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
