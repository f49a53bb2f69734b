use digime::{
    ApplicationId, Client, ContractId, Error, PostboxItem, PrivateKey, RedirectUri, Suspended,
    digime_contract,
};
use digime_import::{Connected, ImportFlow};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(row: &str, receipts: &Receipts, client: &Client) -> Result<(), Error> {
    let stored = Suspended::<Receipts, Connected>::from_json(row)?;
    let connected = stored.resume(receipts, client)?;
    let delivery = connected.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
