//! Which customers were asked to renew their consent.

use super::{Db, on};

impl Db {
    /// Notes that a customer is asked to renew the consent that ends at this time. False if it was noted before.
    pub async fn note_notice(
        &self,
        tenant: &str,
        customer: &str,
        consent_ends_at: i64,
    ) -> sqlx::Result<bool> {
        let rows = on!(self, pool => sqlx::query(
            "INSERT INTO shop_notices (tenant, customer, consent_ends_at) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant, customer) DO UPDATE SET consent_ends_at = excluded.consent_ends_at \
             WHERE shop_notices.consent_ends_at <> excluded.consent_ends_at",
        )
        .bind(tenant)
        .bind(customer)
        .bind(consent_ends_at)
        .execute(pool)
        .await?
        .rows_affected());
        Ok(rows > 0)
    }

    /// The end of the consent that a customer was asked to renew. `None` if nobody has asked.
    pub async fn notice(&self, tenant: &str, customer: &str) -> sqlx::Result<Option<i64>> {
        on!(self, pool => sqlx::query_scalar(
            "SELECT consent_ends_at FROM shop_notices WHERE tenant = $1 AND customer = $2",
        )
        .bind(tenant)
        .bind(customer)
        .fetch_optional(pool)
        .await)
    }

    /// Forgets that a customer was asked.
    pub async fn forget_notice(&self, tenant: &str, customer: &str) -> sqlx::Result<()> {
        on!(self, pool => sqlx::query("DELETE FROM shop_notices WHERE tenant = $1 AND customer = $2")
            .bind(tenant)
            .bind(customer)
            .execute(pool)
            .await
            .map(drop))
    }
}
