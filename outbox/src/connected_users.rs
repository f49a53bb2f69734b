use std::collections::HashMap;
use std::fmt;

use digime::push::Pushes;
use digime::store::{SharedTokens, TokenStore};
use digime::tokens::{self, TokenContract};
use digime::{Client, Error, PostboxItem};

use crate::{Deliver, DeliverError, Recipient};

/// Pushes to users whose tokens are kept in [`SharedTokens`], under the contracts that it is given.
///
/// An item that the platform has accepted counts as delivered, also if it waits in the postbox until the user opens digi.me. An
/// entry whose user has no tokens waits for consent. If the answer to a refresh was lost, it calls `refresh()` once, which
/// shows whether the refresh token was used.
///
/// The contracts are of one type, which is one for postboxes or of another kind whose flows push, such as `Import` of
/// `digime-import`. For contracts of two types, see [`Deliver::or`](crate::Deliver::or).
///
/// ```
/// use digime::store::{SharedTokens, Store};
/// use digime::{Client, OngoingContract};
/// use digime_outbox::{ConnectedUsers, Outbox};
///
/// async fn deliver<C: OngoingContract + Send + Sync + 'static>(
///     outbox: Outbox, tokens: SharedTokens<impl Store>, client: Client, tenants: Vec<C>,
/// ) {
///     let users = ConnectedUsers::new(tokens, client, tenants);
///     outbox.worker(users).run_until(std::future::pending()).await;
/// }
/// ```
pub struct ConnectedUsers<S, C> {
    tokens: SharedTokens<S>,
    client: Client,
    contracts: HashMap<String, C>,
}

impl<S: TokenStore, C: TokenContract<Granted: Pushes>> ConnectedUsers<S, C> {
    /// Pushes under each of the contracts. An entry names one of them by its id.
    pub fn new(
        tokens: SharedTokens<S>,
        client: Client,
        contracts: impl IntoIterator<Item = C>,
    ) -> Self {
        let by_id = |contract: C| (contract.contract_id().to_string(), contract);
        Self {
            tokens,
            client,
            contracts: contracts.into_iter().map(by_id).collect(),
        }
    }
}

impl<S, C> Deliver for ConnectedUsers<S, C>
where
    S: TokenStore,
    C: TokenContract<Granted: Pushes> + Send + Sync + 'static,
{
    async fn deliver(&self, recipient: Recipient, item: PostboxItem) -> Result<(), DeliverError> {
        let contract = self.contracts.get(&recipient.contract);
        let contract = contract.ok_or(DeliverError::UnknownContract)?;
        let found = self.tokens.find(&recipient.user, contract, &self.client);
        let flow = found.await?.ok_or(DeliverError::NotConnected)?;
        match Pushes::push(&flow, item.clone()).await {
            Err(error) if matches!(error.reason(), Error::RefreshInDoubt) => {
                tokens::refresh(&flow).await?;
                Pushes::push(&flow, item).await?;
            }
            pushed => {
                pushed?;
            }
        }
        Ok(())
    }
}

impl<S, C> fmt::Debug for ConnectedUsers<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectedUsers")
            .field("contracts", &self.contracts.keys())
            .finish_non_exhaustive()
    }
}
