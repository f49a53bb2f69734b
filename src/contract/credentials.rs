use std::sync::Arc;

use super::{ApplicationId, ContractId, RedirectUri, Signer};

/// The parts of a contract that requests to the platform need. A clone shares the signer.
#[derive(Clone, Debug)]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct Credentials {
    pub application_id: ApplicationId,
    pub contract_id: ContractId,
    pub signer: Arc<dyn Signer>,
    pub redirect_uri: RedirectUri,
}

impl Credentials {
    /// The `client_id` of request tokens.
    pub fn client_id(&self) -> String {
        format!("{}_{}", self.application_id, self.contract_id)
    }
}
