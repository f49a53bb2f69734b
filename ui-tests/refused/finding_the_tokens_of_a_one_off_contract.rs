use digime::store::{SharedTokens, TokenStore};
use digime::{ApplicationId, Client, ContractId, Error, PrivateKey, RedirectUri, digime_contract};

#[digime_contract(once)]
struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn find(tokens: SharedTokens<impl TokenStore>, welcome: &Welcome) -> Result<(), Error> {
    let found = tokens.find("customer-42", welcome, &Client::new()).await?;
    println!("{}", found.is_some());
    Ok(())
}

fn main() {}
