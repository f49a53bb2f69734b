//! The sessions of `tower-sessions`, in the shop's own database. Its ready-made stores use an earlier `sqlx`, whose SQLite
//! can't be linked beside this one's.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::SystemTime;

use async_trait::async_trait;
use time::OffsetDateTime;
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result};

use super::{Db, millis, on};

const SAVE: &str = "INSERT INTO shop_sessions (id, data, expires_at) VALUES ($1, $2, $3) \
                    ON CONFLICT (id) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at";

#[async_trait]
impl SessionStore for Db {
    /// An id has 128 random bits, so that no two sessions get the same.
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.save(record).await
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let data = serde_json::to_string(&record.data)
            .map_err(|error| Error::Encode(error.to_string()))?;
        on!(self, pool => sqlx::query(SAVE)
            .bind(record.id.to_string())
            .bind(data)
            .bind(record.expiry_date.unix_timestamp() * 1000)
            .execute(pool)
            .await
            .map(drop)
            .map_err(failed))
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let now = millis(SystemTime::now());
        let found: Option<(String, i64)> = on!(self, pool => sqlx::query_as(
            "SELECT data, expires_at FROM shop_sessions WHERE id = $1 AND expires_at > $2",
        )
        .bind(id.to_string())
        .bind(now)
        .fetch_optional(pool)
        .await
        .map_err(failed)?);
        let Some((data, expires_at)) = found else {
            return Ok(None);
        };
        let decode = |error: &dyn Display| Error::Decode(error.to_string());
        let data: HashMap<_, _> = serde_json::from_str(&data).map_err(|error| decode(&error))?;
        let expiry_date = OffsetDateTime::from_unix_timestamp(expires_at / 1000);
        let expiry_date = expiry_date.map_err(|error| decode(&error))?;
        Ok(Some(Record {
            id: *id,
            data,
            expiry_date,
        }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        on!(self, pool => sqlx::query("DELETE FROM shop_sessions WHERE id = $1")
            .bind(id.to_string())
            .execute(pool)
            .await
            .map(drop)
            .map_err(failed))
    }
}

impl Db {
    /// Removes the sessions that have expired.
    pub async fn sweep_sessions(&self) -> sqlx::Result<()> {
        let now = millis(SystemTime::now());
        on!(self, pool => sqlx::query("DELETE FROM shop_sessions WHERE expires_at < $1")
            .bind(now)
            .execute(pool)
            .await
            .map(drop))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn failed(error: sqlx::Error) -> Error {
    Error::Backend(error.to_string())
}
