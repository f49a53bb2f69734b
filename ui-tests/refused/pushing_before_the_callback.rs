use digime::{
    ApplicationId, AwaitingCallback, ContractId, Error, Flow, PostboxItem, PrivateKey, RedirectUri,
    Verifier, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(awaiting: Flow<Receipts, AwaitingCallback<Verifier>>) -> Result<(), Error> {
    let delivery = awaiting.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
