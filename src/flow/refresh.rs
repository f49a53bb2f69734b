//! How a flow gets new tokens, and what is known about the refresh token in the meantime.

use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::renewable::{Renewable, RetryAfter};
use crate::error::Error;
use crate::observe::numbers;
use crate::platform::{Platform, RefreshToken, TokenAnswer, Tokens};
use crate::random;
use crate::store::error::StoreError;

/// Gets new tokens for stale ones. A store of tokens implements it too.
pub(crate) trait Refresher: Send + Sync {
    /// Gets tokens that replace `held`'s. The future is run in a task of its own, so that no caller can drop it.
    fn refresh(
        &self,
        platform: Platform,
        held: Arc<Renewable<Tokens>>,
        demand: Demand,
    ) -> BoxFuture<'static, Result<Tokens, Error>>;
}

/// Why new tokens are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// A push needs them. It does not send a refresh token that may be spent.
    Push,
    /// The application asked for a refresh explicitly, so a refresh token that may be spent is sent too.
    Application,
}

impl Demand {
    /// The failures of another caller's refresh after which this caller refreshes itself. The application does so after a
    /// refresh for a push that sent nothing, because it left the decision to the application or gave up waiting for another
    /// machine.
    pub(crate) fn retry_after(self) -> RetryAfter {
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

/// The result of sending a refresh token.
pub(crate) enum Sent {
    /// It was exchanged.
    Exchanged(Tokens),
    /// The platform did not use it.
    Unused(Error),
    /// The platform says that the grant has ended, so no machine can use the token.
    Ended { code: String },
    /// No answer says whether the platform used it.
    InDoubt(Error),
}

/// Sends a refresh token. The flow that holds it is marked from then on until the outcome is known, so that the token does not
/// count as unused. The flow gets the new tokens at once and waits for no store.
pub(crate) async fn send<A: TokenAnswer>(
    platform: &Platform,
    held: &Arc<Renewable<Tokens>>,
    tokens: &Tokens,
    sender: &str,
) -> Sent {
    let note = |state: RefreshToken| held.change(|held| held.refresh = state);
    let mark = {
        let (held, by) = (held.clone(), sender.to_owned());
        move || held.change(|held| held.refresh = RefreshToken::Sent { by: by.clone() })
    };
    match platform.refresh::<A>(tokens, mark).await {
        Ok(new) => {
            numbers::refresh("new_tokens");
            held.change(|held| held.clone_from(&new));
            Sent::Exchanged(new)
        }
        Err(error) if error.may_have_taken_effect() => {
            numbers::refresh("in_doubt");
            Sent::InDoubt(error.into())
        }
        Err(error) => {
            if let Some(refusal) = error.refusal()
                && refusal.ends_the_grant()
            {
                numbers::refresh("consent_ended");
                let code = refusal.code.clone();
                note(RefreshToken::Ended { code: code.clone() });
                return Sent::Ended { code };
            }
            numbers::refresh("not_used");
            note(RefreshToken::Unsent);
            Sent::Unused(error.into())
        }
    }
}

/// Refreshes with the platform directly, for a flow that does not share its tokens. The platform answers with an `A`.
pub(super) struct PlatformRefresher<A>(pub(super) PhantomData<fn() -> A>);

impl<A: TokenAnswer> Refresher for PlatformRefresher<A> {
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
            match send::<A>(&platform, &held, &tokens, &random::url_safe_256()).await {
                Sent::Exchanged(tokens) => Ok(tokens),
                Sent::Unused(error) | Sent::InDoubt(error) => Err(error),
                Sent::Ended { code } => Err(Error::ConsentEnded { code }),
            }
        }
        .boxed()
    }
}
