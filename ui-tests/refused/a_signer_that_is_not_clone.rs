use digime::error::SignerError;
use digime::{ApplicationId, ContractId, RedirectUri, Signer, async_trait, digime_contract};

#[derive(Debug)]
struct Hsm;

#[async_trait]
impl Signer for Hsm {
    fn key_id(&self) -> &str {
        "hsm"
    }

    async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignerError> {
        Err(SignerError::Unsupported)
    }
}

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: Hsm,
    redirect_uri: RedirectUri,
}

fn main() {}
