use digime::{
    ApplicationId, ContractId, Error, Flow, PostboxItem, PrivateKey, RedirectUri, digime_contract,
};
use digime_import::{Connected, Import};

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(connected: Flow<Receipts, Connected>) -> Result<(), Error> {
    let delivery = connected.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
