//! What customers have decided: whether receipts are saved, and whether everything is to be deleted.

use super::{Db, on};

/// Locks a customer until the transaction ends, and says whether receipts are to be saved.
pub(crate) const LOCK: &str = "INSERT INTO shop_customers (tenant, customer, saves_receipts) VALUES ($1, $2, FALSE) \
     ON CONFLICT (tenant, customer) DO UPDATE SET saves_receipts = shop_customers.saves_receipts RETURNING saves_receipts";

/// Notes whether a customer's receipts are to be saved. Whoever consents does not leave.
pub(crate) const NOTE: &str = "INSERT INTO shop_customers (tenant, customer, saves_receipts) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, customer) DO UPDATE SET saves_receipts = excluded.saves_receipts, is_leaving = FALSE";

impl Db {
    /// Whether a customer has asked for receipts to be saved.
    pub async fn saves_receipts(&self, tenant: &str, customer: &str) -> sqlx::Result<bool> {
        let saves: Option<bool> = on!(self, pool => sqlx::query_scalar(
            "SELECT saves_receipts FROM shop_customers WHERE tenant = $1 AND customer = $2",
        )
        .bind(tenant)
        .bind(customer)
        .fetch_optional(pool)
        .await?);
        Ok(saves == Some(true))
    }

    /// Notes that receipts are no longer to be saved.
    pub async fn stop_saving(&self, tenant: &str, customer: &str) -> sqlx::Result<()> {
        on!(self, pool => sqlx::query(NOTE)
            .bind(tenant)
            .bind(customer)
            .bind(false)
            .execute(pool)
            .await
            .map(drop))
    }

    /// Notes that everything of a customer is to be deleted at digi.me.
    pub async fn note_leaving(&self, tenant: &str, customer: &str) -> sqlx::Result<()> {
        on!(self, pool => sqlx::query(
            "INSERT INTO shop_customers (tenant, customer, saves_receipts, is_leaving) VALUES ($1, $2, FALSE, TRUE) \
             ON CONFLICT (tenant, customer) DO UPDATE SET saves_receipts = FALSE, is_leaving = TRUE",
        )
        .bind(tenant)
        .bind(customer)
        .execute(pool)
        .await
        .map(drop))
    }

    /// Whether a deletion has begun, and is not finished.
    pub async fn is_leaving(&self, tenant: &str, customer: &str) -> sqlx::Result<bool> {
        let is_leaving: Option<bool> = on!(self, pool => sqlx::query_scalar(
            "SELECT is_leaving FROM shop_customers WHERE tenant = $1 AND customer = $2",
        )
        .bind(tenant)
        .bind(customer)
        .fetch_optional(pool)
        .await?);
        Ok(is_leaving == Some(true))
    }

    /// Notes that a deletion is finished.
    pub async fn note_left(&self, tenant: &str, customer: &str) -> sqlx::Result<()> {
        on!(self, pool => sqlx::query(
            "UPDATE shop_customers SET is_leaving = FALSE WHERE tenant = $1 AND customer = $2",
        )
        .bind(tenant)
        .bind(customer)
        .execute(pool)
        .await
        .map(drop))
    }

    /// The slugs and customers whose deletion is not finished.
    pub async fn leaving(&self) -> sqlx::Result<Vec<(String, String)>> {
        on!(self, pool => sqlx::query_as("SELECT tenant, customer FROM shop_customers WHERE is_leaving")
            .fetch_all(pool)
            .await)
    }
}
