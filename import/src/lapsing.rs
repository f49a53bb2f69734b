//! Who has to be asked to renew the consent.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use digime::store::{Connection, SharedTokens, TokenStore};
use digime::tokens::TokenContract;
use digime::{Client, Error};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

/// How often the store is asked.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// Reports every consent that ends within `notice`, each once, as long as it is polled: a job that asks people in time.
/// It looks into the store at once and then once an hour.
///
/// Only this stream knows what it has reported: after a restart of the process, it reports each consent once more. An application that
/// must not ask twice notes whom it has asked. One that fails to note it begins the stream anew.
///
/// ```
/// use std::time::Duration;
///
/// use digime::store::{SharedTokens, Store};
/// use digime::{Client, Contract, Error};
/// use digime_import::{Import, lapsing_soon};
/// use futures_util::TryStreamExt;
///
/// async fn ask_in_time<C: Contract<Kind = Import> + Sync>(
///     tokens: &SharedTokens<impl Store>,
///     contract: &C,
///     client: &Client,
/// ) -> Result<(), Error> {
///     let a_week = Duration::from_secs(7 * 24 * 60 * 60);
///     let mut lapsing = lapsing_soon(tokens, contract, client, a_week);
///     while let Some((customer, connection)) = lapsing.try_next().await? {
///         println!("{customer}: your consent ends at {:?}", connection.consent_expires_at());
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
/// The stream has an error of the store as an item, and continues after the usual pause.
// The stream is boxed, so that a contract without tokens is one error.
pub fn lapsing_soon<'a, S: TokenStore, C: TokenContract + Sync>(
    tokens: &'a SharedTokens<S>,
    contract: &'a C,
    client: &'a Client,
    notice: Duration,
) -> BoxStream<'a, Result<(String, Connection), Error>> {
    let begin = (Reported::new(), Found::new(), Duration::ZERO);
    let lapsing = stream::unfold(
        begin,
        move |(mut reported, mut found, mut pause)| async move {
            loop {
                if let Some(next) = found.pop() {
                    return Some((Ok(next), (reported, found, pause)));
                }
                tokio::time::sleep(pause).await;
                pause = PAUSE;
                let now = client.platform_clock();
                let before = now.checked_add(notice).unwrap_or(now);
                match look(tokens, contract, before, &mut reported).await {
                    Ok(news) => found = news,
                    Err(error) => return Some((Err(error), (reported, found, pause))),
                }
            }
        },
    );
    lapsing.boxed()
}

/// The end of each consent that was reported, by user.
type Reported = HashMap<String, Option<SystemTime>>;

type Found = Vec<(String, Connection)>;

/// Those whose consent ends before a time, and was not reported yet.
async fn look<S: TokenStore, C: TokenContract>(
    tokens: &SharedTokens<S>,
    contract: &C,
    before: SystemTime,
    reported: &mut Reported,
) -> Result<Found, Error> {
    let lapsing: Found = tokens.lapsing(contract, before).try_collect().await?;
    let ends = |connection: &Connection| connection.consent_expires_at();
    let now: Reported = lapsing
        .iter()
        .map(|(user, connection)| (user.clone(), ends(connection)))
        .collect();
    let is_news = |(user, connection): &(String, Connection)| {
        reported
            .get(user)
            .is_none_or(|reported| *reported != ends(connection))
    };
    let mut news: Found = lapsing.into_iter().filter(is_news).collect();
    // They are taken from the end.
    news.reverse();
    *reported = now;
    Ok(news)
}
