//! API 1.5: a link for the digi.me app, which makes a postbox.

use digime::{
    ApplicationId, AwaitingCallback, Client, ContractId, Error, Flow, PrivateKey, RedirectUri,
    Verifier, digime_contract,
};

use crate::tenant::Tenant;

/// A contract whose receipts are pushed to postboxes.
#[digime_contract(ongoing)]
#[derive(Clone, Debug)]
pub struct PostboxContract {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

impl PostboxContract {
    #[must_use]
    pub fn of(tenant: &Tenant) -> Self {
        Self {
            application_id: tenant.application_id.clone(),
            contract_id: tenant.contract_id.clone(),
            private_key: tenant.private_key.clone(),
            redirect_uri: tenant.redirect_uri.clone(),
        }
    }

    /// Asks for a link. A customer who is connected consents anew.
    pub(super) async fn ask(
        &self,
        client: &Client,
    ) -> Result<Flow<Self, AwaitingCallback<Verifier>>, Error> {
        let flow = self.flow(client);
        let session = flow.establish_session().await?;
        Ok(flow.create_postbox(session).await?)
    }
}
