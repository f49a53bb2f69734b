use digime::{
    ApplicationId, Authorized, Callback, ContractId, Error, PrivateKey, RedirectUri,
    digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn exchange(authorized: ReceiptsFlow<Authorized>, callback: Callback) -> Result<(), Error> {
    let again = authorized.exchange_code(callback).await?;
    println!("{:?}", again.access_token());
    Ok(())
}

fn main() {}
