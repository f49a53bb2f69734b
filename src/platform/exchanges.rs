//! The codes that the flows of one client exchange or have exchanged.
//!
//! A code can be exchanged once (RFC 6749, section 4.1.2). So an exchange continues if its caller is dropped, and its tokens
//! are kept for the next caller with the same code and verifier.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;
use tracing::Instrument;

use super::attempts::Deadline;
use super::error::{Cause, Operation, PlatformError};
use super::http::lost;
use super::{Platform, TokenAnswer, Tokens};

use crate::callback::AuthorizationCode;
use crate::pkce::CodeVerifier;

/// How long an exchange is remembered: longer than a session usually lasts, during which the callback must come.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// How many exchanges are remembered.
const MOST_EXCHANGES: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Exchanges(Mutex<HashMap<Key, Exchange>>);

/// Identifies a code with its verifier and client id. It is a hash, so it reveals no secret.
type Key = [u8; 32];

#[derive(Debug)]
struct Exchange {
    begun: Instant,
    attempt: Attempt,
}

#[derive(Clone, Debug)]
enum Attempt {
    /// It is running, or has ended and no caller has taken its outcome.
    Begun(Shared<BoxFuture<'static, Result<Tokens, PlatformError>>>),
    /// A caller has taken its tokens.
    Taken,
}

impl Platform {
    /// Exchanges the callback's code, with the verifier, for tokens. The code is sent once, however many callers there are,
    /// and one of them gets the tokens.
    ///
    /// The exchange continues if this future is dropped. After the deadline, when its caller has given up, it is not tried again.
    pub async fn exchange_code<A: TokenAnswer>(
        &self,
        code: &AuthorizationCode,
        verifier: &CodeVerifier,
        deadline: Option<Instant>,
    ) -> Result<Tokens, PlatformError> {
        let key = self.key_of(code, verifier);
        let attempt = match self.begin_exchange::<A>(key, code, verifier, deadline) {
            Attempt::Begun(attempt) => attempt,
            Attempt::Taken => return Err(PlatformError::AlreadyExchanged),
        };
        self.client.exchanges().take(&key, attempt.await)
    }

    fn begin_exchange<A: TokenAnswer>(
        &self,
        key: Key,
        code: &AuthorizationCode,
        verifier: &CodeVerifier,
        deadline: Option<Instant>,
    ) -> Attempt {
        let mut exchanges = self.client.exchanges().lock();
        forget_old(&mut exchanges);
        let begin = || Exchange {
            begun: Instant::now(),
            attempt: Attempt::Begun(
                self.clone()
                    .spawn_exchange::<A>(key, code, verifier, deadline),
            ),
        };
        exchanges.entry(key).or_insert_with(begin).attempt.clone()
    }

    fn spawn_exchange<A: TokenAnswer>(
        self,
        key: Key,
        code: &AuthorizationCode,
        verifier: &CodeVerifier,
        deadline: Option<Instant>,
    ) -> Shared<BoxFuture<'static, Result<Tokens, PlatformError>>> {
        let (code, verifier) = (code.clone(), verifier.clone());
        let exchange = async move {
            let outcome = self
                .send_code::<A>(&code, &verifier, Deadline::at(deadline))
                .await;
            if let Err(error) = &outcome
                && !error.may_have_taken_effect()
            {
                self.client.exchanges().lock().remove(&key);
            }
            outcome
        };
        tokio::spawn(exchange.in_current_span())
            .map(|ended| {
                ended.unwrap_or_else(|_| {
                    Err(lost(
                        Operation::ExchangeCode,
                        Cause::new("its task ended early"),
                    ))
                })
            })
            .boxed()
            .shared()
    }

    fn key_of(&self, code: &AuthorizationCode, verifier: &CodeVerifier) -> Key {
        let mut hash = digest::Context::new(&digest::SHA256);
        let client_id = self.credentials.client_id();
        for part in [code.expose(), verifier.secret(), &client_id] {
            // The length keeps the parts apart.
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut key = Key::default();
        key.copy_from_slice(hash.finish().as_ref());
        key
    }
}

impl Exchanges {
    /// Gives the tokens to the first caller that takes them. Two flows with the same tokens would both refresh them.
    fn take(
        &self,
        key: &Key,
        outcome: Result<Tokens, PlatformError>,
    ) -> Result<Tokens, PlatformError> {
        if outcome.is_err() {
            // The caller learns that the code may be spent, and decides whether it is sent again.
            self.lock().remove(key);
        }
        let tokens = outcome?;
        if let Some(exchange) = self.lock().get_mut(key)
            && matches!(
                std::mem::replace(&mut exchange.attempt, Attempt::Taken),
                Attempt::Taken
            )
        {
            return Err(PlatformError::AlreadyExchanged);
        }
        Ok(tokens)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Exchange>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets old exchanges. If too many are left, it forgets the oldest one.
fn forget_old(exchanges: &mut HashMap<Key, Exchange>) {
    exchanges.retain(|_, exchange| exchange.begun.elapsed() < REMEMBERED);
    if exchanges.len() >= MOST_EXCHANGES {
        let oldest = exchanges.iter().min_by_key(|(_, exchange)| exchange.begun);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            exchanges.remove(&key);
        }
    }
}
