use digime::{
    ApplicationId, AwaitingCallback, ContractId, Error, Flow, NoVerifier, PostboxItem, PrivateKey,
    RedirectUri, digime_contract,
};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn push(awaiting: Flow<Welcome, AwaitingCallback<NoVerifier>>) -> Result<(), Error> {
    let delivery = awaiting.push(PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    Ok(())
}

fn main() {}
