//! The end of a connection, at the platform and here.

use digime::error::Operation;
use digime::request::Request;
use digime::store::{SharedTokens, TokenStore};
use digime::{Client, Contract, Error, Flow};
use futures_util::future::BoxFuture;

use crate::{Connected, Import, ImportFlow};

/// How a connection has ended: [`end_connection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// The platform has deleted the person's data, and the connection here is gone.
    Deleted,
    /// The platform says that the consent is over: the data was deleted by an earlier call whose answer was lost, or the consent had
    /// lapsed before, or the tokens were lost in a refresh whose answer was lost. The connection here is gone. What such a person
    /// has in their library stays theirs.
    WasOver,
    /// There was no connection.
    NotConnected,
}

/// `DELETE user`
pub(crate) async fn delete_user<C>(flow: &Flow<C, Connected>) -> Result<(), Error> {
    let request = || {
        Request::delete(["user"], Operation::custom("delete the user"))
            .without_redirect_uri()
            .status_only()
    };
    flow.as_state().grant().request(flow, request).await?;
    Ok(())
}

/// Deletes the user even if the refresh token may be spent: there is nothing left that a second attempt could lose.
async fn delete_at_last<C>(flow: &Flow<C, Connected>) -> Result<(), Error> {
    match flow.delete_user().await {
        Err(error) if matches!(error.reason(), Error::RefreshInDoubt) => {
            flow.refresh().await?;
            flow.delete_user().await
        }
        deleted => deleted,
    }
}

/// Ends a connection: deletes the person's library at digi.me, with everything in it, and then the connection in the store. It can't
/// be undone.
///
/// The store notes first that the connection is ending, so that nothing is pushed any more. Then the platform deletes. At last the
/// store forgets the connection. If the process dies or a step fails, call it again: the store never says that a person is
/// connected whose data is gone, and never forgets a person whose data may still be there.
///
/// A consent that is being received meanwhile is kept when the store takes it, as with
/// [`SharedTokens::forget`](digime::store::SharedTokens::forget).
///
/// To end only the connection here, and leave the person's library as it is, call
/// [`SharedTokens::forget`](digime::store::SharedTokens::forget).
///
/// ```
/// use digime::store::{SharedTokens, Store};
/// use digime::{Client, Contract, Error};
/// use digime_import::{ConnectionEnd, Import, end_connection};
///
/// async fn leave<C: Contract<Kind = Import> + Sync + 'static>(
///     tokens: &SharedTokens<impl Store>,
///     contract: &C,
///     client: &Client,
/// ) -> Result<(), Error> {
///     match end_connection(tokens, "customer-42", contract, client).await? {
///         ConnectionEnd::Deleted => println!("everything is deleted"),
///         _ => println!("there was nothing left to delete"),
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
/// [`Error::Request`] if the platform was not reached or refused, [`Error::Store`] if the store failed. The connection is still
/// noted as ending: call it again. A refresh token that may be spent is sent again.
// The future is boxed, so that a contract of another kind is one error.
pub fn end_connection<'a, S: TokenStore, C>(
    tokens: &'a SharedTokens<S>,
    user: &'a str,
    contract: &'a C,
    client: &'a Client,
) -> BoxFuture<'a, Result<ConnectionEnd, Error>>
where
    C: Contract<Kind = Import> + Sync + 'static,
{
    Box::pin(end(tokens, user, contract, client))
}

async fn end<S: TokenStore, C>(
    tokens: &SharedTokens<S>,
    user: &str,
    contract: &C,
    client: &Client,
) -> Result<ConnectionEnd, Error>
where
    C: Contract<Kind = Import> + Sync + 'static,
{
    let is_connected = tokens
        .change_record(user, contract, |record| record.is_ending = true)
        .await?;
    if !is_connected {
        return Ok(ConnectionEnd::NotConnected);
    }
    let Some(flow) = tokens.find(user, contract, client).await? else {
        return Ok(ConnectionEnd::NotConnected);
    };
    let end = match delete_at_last(&flow).await {
        Ok(()) => ConnectionEnd::Deleted,
        Err(error) if matches!(error.reason(), Error::ConsentEnded { .. }) => {
            // An attempt whose answer was lost has deleted, and the next one found nobody.
            if error.may_have_taken_effect() {
                ConnectionEnd::Deleted
            } else {
                ConnectionEnd::WasOver
            }
        }
        Err(error) => return Err(error),
    };
    tokens.forget(user, contract).await?;
    Ok(end)
}
