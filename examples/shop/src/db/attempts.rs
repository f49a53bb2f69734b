//! Attempts to connect: what the pages of a customer know of the flows that they began.

use std::time::{Duration, SystemTime};

use sqlx::{FromRow, Type};

use super::{Db, millis, on};

/// A callback that has no outcome after this time has lost its process. No request takes longer.
const LONGEST_CALLBACK: i64 = 60_000;

#[derive(Clone, Debug, FromRow)]
pub struct Attempt {
    /// Random, so that the page on the phone needs no session.
    pub id: String,
    pub tenant: String,
    pub customer: String,
    /// What the callback brings back.
    pub state: String,
    /// `digime://…` for the digi.me app, or a page of digi.me.
    pub link: String,
    pub outcome: Outcome,
    /// When the callback came that is being answered.
    pub called_back_at: Option<i64>,
    pub expires_at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Type)]
#[sqlx(type_name = "TEXT", rename_all = "kebab-case")]
pub enum Outcome {
    /// The person has not answered.
    Waiting,
    /// The person said no. The link still works.
    Declined,
    /// The person's digi.me app reported an error. The link still works.
    Failed,
    /// By API 1.7 the person said no, or digi.me could not ask. It does not say which.
    NotConsented,
    /// Another person has renewed the consent than the one who gave it.
    AnotherPerson,
    /// It went wrong after the person said yes. The link is used up.
    Lost,
    Connected,
    /// The link has ended. It is not in the table, where only the time says it.
    Expired,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Declined => "declined",
            Self::Failed => "failed",
            Self::NotConsented => "not-consented",
            Self::AnotherPerson => "another-person",
            Self::Lost => "lost",
            Self::Connected => "connected",
            Self::Expired => "expired",
        }
    }

    /// Whether the link can still be answered, as far as the outcome says.
    fn is_open(self) -> bool {
        matches!(
            self,
            Self::Waiting | Self::Declined | Self::Failed | Self::NotConsented
        )
    }
}

impl Attempt {
    /// What is known now.
    pub fn outcome(&self) -> Outcome {
        let now = millis(SystemTime::now());
        let is_over = self.expires_at <= now;
        let called_back_at = self.called_back_at.unwrap_or(now);
        let is_lost = called_back_at <= now - LONGEST_CALLBACK;
        match self.outcome {
            outcome if !outcome.is_open() => outcome,
            _ if is_lost => Outcome::Lost,
            _ if is_over => Outcome::Expired,
            outcome => outcome,
        }
    }
}

impl Db {
    pub async fn begin_attempt(&self, attempt: &Attempt) -> sqlx::Result<()> {
        on!(self, pool => sqlx::query(
            "INSERT INTO shop_attempts (id, tenant, customer, state, link, outcome, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&attempt.id)
        .bind(&attempt.tenant)
        .bind(&attempt.customer)
        .bind(&attempt.state)
        .bind(&attempt.link)
        .bind(attempt.outcome)
        .bind(attempt.expires_at)
        .execute(pool)
        .await
        .map(drop))
    }

    pub async fn attempt(&self, tenant: &str, id: &str) -> sqlx::Result<Option<Attempt>> {
        on!(self, pool => sqlx::query_as("SELECT * FROM shop_attempts WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id)
            .fetch_optional(pool)
            .await)
    }

    /// The last attempt of a customer, if it did not connect.
    pub async fn last_attempt(&self, customer: &str) -> sqlx::Result<Option<Attempt>> {
        on!(self, pool => sqlx::query_as(
            "SELECT * FROM shop_attempts WHERE customer = $1 AND outcome <> 'connected' ORDER BY expires_at DESC LIMIT 1",
        )
        .bind(customer)
        .fetch_optional(pool)
        .await)
    }

    /// Notes that an attempt is called back, and returns it.
    pub async fn called_back(&self, state: &str) -> sqlx::Result<Option<Attempt>> {
        on!(self, pool => sqlx::query_as(
            "UPDATE shop_attempts SET called_back_at = COALESCE(called_back_at, $2) WHERE state = $1 RETURNING *",
        )
        .bind(state)
        .bind(millis(SystemTime::now()))
        .fetch_optional(pool)
        .await)
    }

    /// Notes that a callback has changed nothing, so that it may come again.
    pub async fn end_callback(&self, attempt: &Attempt) -> sqlx::Result<()> {
        on!(self, pool => sqlx::query("UPDATE shop_attempts SET called_back_at = NULL WHERE id = $1")
            .bind(&attempt.id)
            .execute(pool)
            .await
            .map(drop))
    }

    /// Notes how an attempt ended. One that has connected stays so, whatever a later callback says.
    pub async fn note_outcome(&self, attempt: &Attempt, outcome: Outcome) -> sqlx::Result<()> {
        on!(self, pool => sqlx::query(
            "UPDATE shop_attempts SET outcome = $2, called_back_at = NULL WHERE id = $1 AND outcome <> 'connected'",
        )
            .bind(&attempt.id)
            .bind(outcome)
            .execute(pool)
            .await
            .map(drop))
    }

    /// Notes that a customer is connected: all pages that wait for it show it.
    pub async fn note_connected(&self, tenant: &str, customer: &str) -> sqlx::Result<()> {
        on!(self, pool => sqlx::query(
            "UPDATE shop_attempts SET outcome = 'connected' WHERE tenant = $1 AND customer = $2",
        )
        .bind(tenant)
        .bind(customer)
        .execute(pool)
        .await
        .map(drop))
    }

    /// Removes attempts whose links ended some time ago. Until then their pages can say that they have ended.
    pub async fn sweep_attempts(&self) -> sqlx::Result<()> {
        let before = millis(SystemTime::now() - Duration::from_hours(7 * 24));
        on!(self, pool => sqlx::query("DELETE FROM shop_attempts WHERE expires_at < $1")
            .bind(before)
            .execute(pool)
            .await
            .map(drop))
    }
}
