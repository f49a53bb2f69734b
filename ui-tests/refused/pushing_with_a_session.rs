use digime::{
    ApplicationId, Client, ContractId, PostboxItem, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(receipts: Receipts) -> Result<(), digime::Error> {
    let session = receipts.flow(&Client::new()).establish_session().await?;
    let delivery = session.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
