use digime::{
    ApplicationId, Client, ContractId, Error, PostboxItem, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(receipts: Receipts, client: Client) -> Result<(), Error> {
    let delivery = receipts
        .flow(&client)
        .push(PostboxItem::file("receipt.pdf"))
        .await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
