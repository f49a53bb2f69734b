//! Orders, and which customers want the receipts of theirs to be saved.

use std::time::{Duration, SystemTime};

use sqlx::FromRow;

use super::{Db, on};
use crate::tenant::Price;

#[derive(Clone, Debug, FromRow)]
pub struct Order {
    /// Also the receipt's reference in the outbox and in the person's digi.me.
    pub id: String,
    pub tenant: String,
    pub customer: String,
    pub product: String,
    pub cents: i64,
    pub ordered_at: i64,
}

impl Order {
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.ordered_at.try_into().unwrap_or(0))
    }

    pub fn price(&self) -> Price {
        Price(self.cents.try_into().unwrap_or(0))
    }
}

/// Adds an order.
pub(crate) const INSERT: &str = "INSERT INTO shop_orders (id, tenant, customer, product, cents, ordered_at) \
                                 VALUES ($1, $2, $3, $4, $5, $6)";

/// The orders of a customer, the latest first.
pub(crate) const OF_CUSTOMER: &str =
    "SELECT * FROM shop_orders WHERE tenant = $1 AND customer = $2 ORDER BY ordered_at DESC, id";

/// Locks a customer until the transaction ends, and says whether receipts are to be saved.
pub(crate) const LOCK_CUSTOMER: &str = "INSERT INTO shop_customers (tenant, customer, saves_receipts) VALUES ($1, $2, FALSE) \
     ON CONFLICT (tenant, customer) DO UPDATE SET saves_receipts = shop_customers.saves_receipts RETURNING saves_receipts";

/// Notes whether a customer's receipts are to be saved.
pub(crate) const NOTE_CUSTOMER: &str = "INSERT INTO shop_customers (tenant, customer, saves_receipts) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, customer) DO UPDATE SET saves_receipts = excluded.saves_receipts";

impl Db {
    /// The orders of a customer, the latest first.
    pub async fn orders(&self, tenant: &str, customer: &str) -> sqlx::Result<Vec<Order>> {
        on!(self, pool => sqlx::query_as(OF_CUSTOMER).bind(tenant).bind(customer).fetch_all(pool).await)
    }

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
        on!(self, pool => sqlx::query(NOTE_CUSTOMER)
            .bind(tenant)
            .bind(customer)
            .bind(false)
            .execute(pool)
            .await
            .map(drop))
    }
}
