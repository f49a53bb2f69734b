//! How many requests ask digi.me at the same time.
//!
//! When thousands of people come at once, all of them would be served slowly, and longer than a call of digi.me may take. So
//! most of them wait for their turn. A process that is killed loses only consents whose codes it was exchanging.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::page::PageError;

pub struct Turns {
    free: Semaphore,
    patience: Duration,
}

impl Turns {
    /// So many at the same time. The others wait at most so long.
    pub fn new(at_once: usize, patience: Duration) -> Self {
        Self {
            free: Semaphore::new(at_once),
            patience,
        }
    }

    /// Waits for a turn, which ends when it is dropped. The first who came is the first who gets one.
    pub async fn take(&self) -> Result<SemaphorePermit<'_>, PageError> {
        let Ok(turn) = timeout(self.patience, self.free.acquire()).await else {
            tracing::warn!("too many people came at once: somebody was asked to try again");
            return Err(PageError::TryAgain);
        };
        turn.map_err(PageError::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_finds_no_turn_in_time_is_asked_to_try_again() {
        let turns = Turns::new(2, Duration::ZERO);
        let (one, _other) = (turns.take().await, turns.take().await);
        assert!(one.is_ok());
        assert!(matches!(turns.take().await, Err(PageError::TryAgain)));
        drop(one);
        assert!(turns.take().await.is_ok());
    }

    #[tokio::test]
    async fn somebody_who_waits_gets_the_turn_that_ends() {
        let turns = Turns::new(1, Duration::from_mins(1));
        let one = turns.take().await;
        let (next, ()) = tokio::join!(turns.take(), async { drop(one) });
        assert!(next.is_ok());
    }
}
