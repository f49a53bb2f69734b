use super::{ApplicationId, ContractId, PrivateKey, RedirectUri};

/// The parts of a contract that requests to the platform need. A clone shares the key.
#[derive(Clone, Debug)]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct Credentials {
    pub application_id: ApplicationId,
    pub contract_id: ContractId,
    pub private_key: PrivateKey,
    pub redirect_uri: RedirectUri,
}

impl Credentials {
    /// The `client_id` of request tokens.
    pub fn client_id(&self) -> String {
        format!("{}_{}", self.application_id, self.contract_id)
    }
}
