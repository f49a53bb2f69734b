//! What a worker does with the table: it takes entries that are due, keeps its lease on them, and records their outcomes.

use std::time::Duration;

use crate::database::{duration, is_of_connection, millis, rows, rows_once};
use crate::entry::{Item, Labels};
use crate::rules::{MOST_LOSSES, Tried};
use crate::statements::BATCH;
use crate::{Error, Outbox, Recipient};

/// An entry that a worker has taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) id: i64,
    /// The claim under which the worker has it.
    pub(crate) claim: String,
    pub(crate) recipient: Recipient,
    pub(crate) reference: String,
    pub(crate) item: Item,
    pub(crate) tried: Tried,
    /// How often in a row it was taken before, and no outcome was recorded.
    lost: u64,
    /// The time since it was enqueued.
    pub(crate) age: Duration,
}

type Columns = (
    i64,
    String,
    String,
    String,
    i64,
    i64,
    i64,
    i64,
    String,
    String,
    Option<Vec<u8>>,
);

impl Taken {
    fn of(columns: Columns, claim: &str) -> Self {
        let (id, contract, user, reference, attempts, lost, tried_for, age, name, labels, content) =
            columns;
        let labels: Labels = serde_json::from_str(&labels).unwrap_or_default();
        Self {
            id,
            claim: claim.to_owned(),
            recipient: Recipient { user, contract },
            reference,
            item: Item {
                name,
                content: content.unwrap_or_default().into(),
                labels,
            },
            tried: Tried {
                attempts: attempts.try_into().unwrap_or(0),
                duration: duration(tried_for),
            },
            lost: lost.try_into().unwrap_or(0),
            age: duration(age),
        }
    }

    /// Whether it is not sent again, since it may be what ends the process. Its content was not read then.
    pub(crate) fn is_lost_too_often(&self) -> bool {
        self.lost >= MOST_LOSSES
    }
}

impl Outbox {
    /// Takes at most `limit` entries that are due, none of a user of whom already `per_user` entries are being sent.
    pub(crate) async fn take(
        &self,
        limit: usize,
        per_user: usize,
        lease: Duration,
    ) -> Result<Vec<Taken>, Error> {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let claim = format!("{:032x}", rand::random::<u128>());
        let claimed = rows_once!(
            &self.database,
            self.statements.claim,
            &*claim,
            millis(lease),
            number(per_user),
            number(limit)
        );
        let claimed: Vec<Columns> = match claimed {
            Ok(claimed) => claimed,
            // It may have claimed entries although its answer was lost, and would claim others if it was repeated.
            Err(error) if is_of_connection(&error) => {
                rows!(&self.database, self.statements.claimed, &*claim).await?
            }
            Err(error) => return Err(error.into()),
        };
        let taken = claimed
            .into_iter()
            .map(|columns| Taken::of(columns, &claim));
        Ok(taken.collect())
    }

    /// False if another worker has taken the entry, or it was removed.
    pub(crate) async fn extend(&self, taken: &Taken, lease: Duration) -> Result<bool, Error> {
        let sql = &self.statements.extend;
        let extended: Vec<(i64,)> =
            rows!(&self.database, sql, taken.id, &*taken.claim, millis(lease)).await?;
        Ok(!extended.is_empty())
    }

    pub(crate) async fn record(&self, taken: &Taken, outcome: &Outcome) -> Result<(), Error> {
        let (id, claim) = (taken.id, &*taken.claim);
        let statements = &self.statements;
        let _: Vec<(i64,)> = match outcome {
            Outcome::Delivered => {
                let retention = millis(self.retention);
                rows!(&self.database, statements.delivered, id, retention).await?
            }
            Outcome::TryAgain { after, error } => {
                let (sql, after) = (&statements.try_again, millis(*after));
                rows!(&self.database, sql, id, claim, after, error.as_deref()).await?
            }
            Outcome::AwaitConsent { look_again, error } => {
                let (sql, after) = (&statements.await_consent, millis(*look_again));
                rows!(&self.database, sql, id, claim, after, &**error).await?
            }
            Outcome::GiveUp { error } => {
                rows!(&self.database, statements.give_up, id, claim, &**error).await?
            }
        };
        Ok(())
    }

    /// Leaves the contract's entries where they are for a time.
    pub(crate) async fn hold_back(&self, contract: &str, duration: Duration) -> Result<(), Error> {
        let sql = &self.statements.hold_back;
        let _: Vec<(i64,)> = rows!(&self.database, sql, contract, millis(duration)).await?;
        Ok(())
    }

    /// Removes delivered entries whose retention is over.
    pub(crate) async fn sweep(&self) -> Result<(), Error> {
        loop {
            let removed: Vec<(i64,)> = rows!(&self.database, self.statements.sweep).await?;
            if removed.len() < BATCH {
                return Ok(());
            }
        }
    }
}

/// The outcome of an attempt, as the table has it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Delivered,
    TryAgain {
        after: Duration,
        error: Option<String>,
    },
    AwaitConsent {
        look_again: Duration,
        error: String,
    },
    GiveUp {
        error: String,
    },
}
