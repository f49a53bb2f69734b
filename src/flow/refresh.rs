//! How a flow gets new tokens: by whom, and what is known of the refresh token meanwhile.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::renewable::{Insists, Renewable};
use crate::error::Error;
use crate::platform::{Platform, RefreshToken, Tokens};
use crate::random;
use crate::store::error::StoreError;

/// Gets tokens in place of stale ones. It is the seam at which a store of tokens comes in.
pub trait Refresher: Send + Sync {
    /// Tokens in place of `held`'s. The future is run in a task of its own, so that nobody drops it.
    fn refresh(
        &self,
        platform: Platform,
        held: Arc<Renewable<Tokens>>,
        demand: Demand,
    ) -> BoxFuture<'static, Result<Tokens, Error>>;
}

/// Why new tokens are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A push needs them. A refresh token that may be spent is not sent for it.
    Push,
    /// The application asked for a refresh by name. It decides to send a refresh token that may be spent.
    Application,
}

impl Demand {
    /// The application insists where a refresh for a push sent nothing, as it had to leave the decision to the application
    /// or gave up waiting for another machine.
    pub fn insists(self) -> Insists {
        match self {
            Self::Push => None,
            Self::Application => Some(|error| {
                matches!(
                    error,
                    Error::RefreshInDoubt | Error::Store(StoreError::Busy)
                )
            }),
        }
    }
}

/// What became of a refresh token that was sent.
pub enum Sent {
    /// It was exchanged.
    Exchanged(Tokens),
    /// The platform did not use it.
    Unused(Error),
    /// The platform says that it is good for nobody.
    Ended { code: String },
    /// No answer says whether the platform used it.
    InDoubt(Error),
}

/// Sends a refresh token. The flow that holds it knows until the outcome is known, so that a flow which is suspended
/// meanwhile does not pass off the token as a good one. It has the new tokens at once, and waits for no store.
pub async fn send(
    platform: &Platform,
    held: &Renewable<Tokens>,
    tokens: &Tokens,
    sender: &str,
) -> Sent {
    let note = |state: RefreshToken| held.change(|held| held.refresh = state);
    note(RefreshToken::Sent {
        by: sender.to_owned(),
    });
    match platform.refresh(tokens).await {
        Ok(new) => {
            held.change(|held| held.clone_from(&new));
            Sent::Exchanged(new)
        }
        Err(error) if error.may_have_taken_effect() => Sent::InDoubt(error.into()),
        Err(error) => {
            if let Some(refusal) = error.refusal()
                && refusal.ends_the_grant()
            {
                let code = refusal.code.clone();
                note(RefreshToken::Ended { code: code.clone() });
                return Sent::Ended { code };
            }
            note(RefreshToken::Unsent);
            Sent::Unused(error.into())
        }
    }
}

/// Asks the platform, for a flow whose tokens nobody else has.
pub struct PlatformRefresher;

impl Refresher for PlatformRefresher {
    fn refresh(
        &self,
        platform: Platform,
        held: Arc<Renewable<Tokens>>,
        demand: Demand,
    ) -> BoxFuture<'static, Result<Tokens, Error>> {
        async move {
            let tokens = held.get();
            match tokens.refresh {
                RefreshToken::Ended { code } => return Err(Error::ConsentEnded { code }),
                RefreshToken::Sent { .. } if demand == Demand::Push => {
                    return Err(Error::RefreshInDoubt);
                }
                _ => {}
            }
            match send(&platform, &held, &tokens, &random::url_safe_256()).await {
                Sent::Exchanged(tokens) => Ok(tokens),
                Sent::Unused(error) | Sent::InDoubt(error) => Err(error),
                Sent::Ended { code } => Err(Error::ConsentEnded { code }),
            }
        }
        .boxed()
    }
}
