//! API 1.7: a page of digi.me in the customer's browser, and a library to push into.

use digime::{
    ApplicationId, Client, ContractId, Error, Flow, PrivateKey, RedirectUri, Verifier,
    digime_contract,
};
use digime_import::{AwaitingConsent, Consent, ImportFlow};

use super::Tokens;
use crate::tenant::Tenant;

/// A contract whose receipts are pushed into libraries.
#[digime_contract(kind = digime_import::Import)]
#[derive(Clone, Debug)]
pub struct ImportContract {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

impl ImportContract {
    #[must_use]
    pub fn of(tenant: &Tenant) -> Self {
        Self {
            application_id: tenant.application_id.clone(),
            contract_id: tenant.contract_id.clone(),
            private_key: tenant.private_key.clone(),
            redirect_uri: tenant.redirect_uri.clone(),
        }
    }

    /// Asks for a page of digi.me: for a first consent, or for the renewal of a consent, which may have ended.
    pub(super) async fn ask(
        &self,
        tokens: &Tokens,
        client: &Client,
        customer: &str,
    ) -> Result<Flow<Self, AwaitingConsent<Verifier>>, Error> {
        let Some(connected) = tokens.find(customer, self, client).await? else {
            return Ok(self.flow(client).authorize().await?);
        };
        let renewal = match connected.into_consent() {
            Consent::Valid(connected) => connected.reauthorize().await,
            Consent::Lapsed(lapsed) => lapsed.reauthorize().await,
        };
        match renewal {
            // digi.me has forgotten the person.
            Err(error) if error.needs_consent() => Ok(self.flow(client).authorize().await?),
            renewal => renewal,
        }
    }
}
