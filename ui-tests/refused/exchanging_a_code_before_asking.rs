use digime::{
    ApplicationId, Callback, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn exchange(receipts: Receipts, client: Client, callback: Callback) -> Result<(), Error> {
    let authorized = receipts.flow(&client).exchange_code(callback).await?;
    println!("{:?}", authorized.access_token());
    Ok(())
}

fn main() {}
