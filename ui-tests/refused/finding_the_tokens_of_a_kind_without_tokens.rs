use digime::store::{MemoryStore, SharedTokens};
use digime::{ApplicationId, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract};
use digime_extending::checkup::Checkup;

#[digime_contract(kind = Checkup)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn find(tokens: &SharedTokens<MemoryStore>, receipts: &Receipts) -> Result<(), Error> {
    let found = tokens.find("customer-42", receipts, &Client::new()).await?;
    println!("{}", found.is_some());
    Ok(())
}

fn main() {}
