//! Every type that may have the role `private_key`.

use std::sync::Arc;

use digime::error::SignerError;
use digime::{
    ApplicationId, Client, Contract, ContractId, PrivateKey, RedirectUri, Signer, async_trait,
    digime_contract,
};

#[derive(Clone, Debug)]
struct Kms;

#[async_trait]
impl Signer for Kms {
    fn key_id(&self) -> &str {
        "kms"
    }

    async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignerError> {
        Err(SignerError::Unsupported)
    }
}

#[digime_contract(ongoing)]
struct OfKms {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: Kms,
    redirect_uri: RedirectUri,
}

#[digime_contract(once)]
struct OfAny {
    application_id: ApplicationId,
    contract_id: ContractId,
    #[digime(private_key)]
    signer: Arc<dyn Signer>,
    redirect_uri: RedirectUri,
}

#[digime_contract(ongoing)]
struct Of<K>(
    #[digime(application_id)] ApplicationId,
    #[digime(contract_id)] ContractId,
    #[digime(private_key)] K,
    #[digime(redirect_uri)] RedirectUri,
)
where
    K: Signer + Clone;

fn begin(of_key: &Of<PrivateKey>, of_any: &OfAny, of_kms: &OfKms, client: &Client) {
    let _: OfFlow<PrivateKey> = of_key.flow(client);
    let _: OfAnyFlow = of_any.flow(client);
    let _: OfKmsFlow = of_kms.flow(client);
    println!("{}", of_kms.private_key().key_id());
    let _: Arc<dyn Signer> = Contract::private_key(of_any);
}

fn main() {
    let _ = begin;
}
