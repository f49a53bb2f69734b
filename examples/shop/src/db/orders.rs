//! Orders.

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

impl Db {
    /// The orders of a customer, the latest first.
    pub async fn orders(&self, tenant: &str, customer: &str) -> sqlx::Result<Vec<Order>> {
        on!(self, pool => sqlx::query_as(OF_CUSTOMER).bind(tenant).bind(customer).fetch_all(pool).await)
    }
}
