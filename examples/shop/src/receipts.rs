//! The receipts that customers save: when they are put into the outbox, and where they are on their way.

use std::collections::HashMap;
use std::time::SystemTime;

use askama::Template;
use digime_import::ConnectionEnd;
use digime_outbox::{Entry, Filter, Item, State};
use rand::seq::IndexedRandom;

use crate::api::Api;
use crate::app::App;
use crate::db::orders::{INSERT, OF_CUSTOMER, Order};
use crate::db::{customers, millis, on};
use crate::page::{PageError, date_and_time};
use crate::tenant::{Product, Tenant};

#[derive(Template)]
#[template(path = "receipt.txt", escape = "none")]
struct Receipt<'a> {
    tenant: &'a Tenant,
    order: &'a Order,
    ordered_at: String,
}

/// Books an order. If the customer's receipts are to be saved, its receipt is in the outbox if, and only if, the order is
/// in the database.
pub async fn order(
    app: &App,
    tenant: &Tenant,
    customer: &str,
    product: &Product,
) -> Result<Order, PageError> {
    let order = Order {
        id: number(),
        tenant: tenant.slug.clone(),
        customer: customer.to_owned(),
        product: product.name.clone(),
        cents: product.price.0.into(),
        ordered_at: millis(SystemTime::now()),
    };
    let entry = entry(app, tenant, &order)?;
    on!(&app.db, pool => {
        let mut tx = pool.begin_with(app.db.begin()).await?;
        let saves: bool = sqlx::query_scalar(customers::LOCK)
            .bind(&order.tenant)
            .bind(&order.customer)
            .fetch_one(&mut *tx)
            .await?;
        sqlx::query(INSERT)
            .bind(&order.id)
            .bind(&order.tenant)
            .bind(&order.customer)
            .bind(&order.product)
            .bind(order.cents)
            .bind(order.ordered_at)
            .execute(&mut *tx)
            .await?;
        if saves {
            app.outbox.enqueue_in(&mut *tx, &entry).await?;
        }
        tx.commit().await?;
    });
    app.outbox.wake();
    Ok(order)
}

/// Notes that a customer has consented, and puts the receipts of all earlier orders into the outbox. It may be called again:
/// the outbox knows the receipts that it had before by their references.
pub async fn connected(app: &App, tenant: &Tenant, customer: &str) -> Result<(), PageError> {
    on!(&app.db, pool => {
        let mut tx = pool.begin_with(app.db.begin()).await?;
        sqlx::query(customers::NOTE)
            .bind(&tenant.slug)
            .bind(customer)
            .bind(true)
            .execute(&mut *tx)
            .await?;
        let orders: Vec<Order> = sqlx::query_as(OF_CUSTOMER)
            .bind(&tenant.slug)
            .bind(customer)
            .fetch_all(&mut *tx)
            .await?;
        for order in &orders {
            app.outbox.enqueue_in(&mut *tx, &entry(app, tenant, order)?).await?;
        }
        tx.commit().await?;
    });
    app.outbox.connected(customer, &tenant.contract_id).await?;
    app.db.note_connected(&tenant.slug, customer).await?;
    Ok(())
}

/// Notes the consent of a customer who has tokens and no note, because the process died between the two. False if the customer
/// has disconnected meanwhile.
pub async fn note_missed_consent(
    app: &App,
    tenant: &Tenant,
    customer: &str,
) -> Result<bool, PageError> {
    connected(app, tenant, customer).await?;
    let is_connected = app.digi_me.consent(tenant, customer).await?.is_some();
    if !is_connected {
        stop(app, tenant, customer).await?;
    }
    Ok(is_connected)
}

/// Forgets a customer's tokens, and what waits for them. What was saved stays in the person's digi.me. The consent itself
/// ends there.
///
/// If the process dies before the tokens are forgotten, the customer is connected, and the next page notes it again.
pub async fn disconnect(app: &App, tenant: &Tenant, customer: &str) -> Result<(), PageError> {
    app.db.stop_saving(&tenant.slug, customer).await?;
    app.digi_me.forget(tenant, customer).await?;
    stop(app, tenant, customer).await
}

/// Deletes a customer's library at digi.me, and then what is known of it here. `None` by API 1.5, which can't.
///
/// The wish is noted first and its note removed last. So the customer's page never says that something is saved that is deleted,
/// or deleted that may be there. If the process dies or digi.me is away, [`finish_deletions`] finishes it.
pub async fn delete(
    app: &App,
    tenant: &Tenant,
    customer: &str,
) -> Result<Option<ConnectionEnd>, PageError> {
    if app.config.api != Api::Import {
        return Ok(None);
    }
    app.db.note_leaving(&tenant.slug, customer).await?;
    finish_deletion(app, tenant, customer).await
}

async fn finish_deletion(
    app: &App,
    tenant: &Tenant,
    customer: &str,
) -> Result<Option<ConnectionEnd>, PageError> {
    let Some(end) = app.digi_me.delete(tenant, customer).await? else {
        return Ok(None);
    };
    app.outbox.forget(customer, &tenant.contract_id).await?;
    app.db.forget_notice(&tenant.slug, customer).await?;
    app.db.note_left(&tenant.slug, customer).await?;
    Ok(Some(end))
}

/// Goes on with the deletions that have begun and are not finished. Those that fail are tried again the next time.
pub async fn finish_deletions(app: &App) {
    let leaving = match app.db.leaving().await {
        Ok(leaving) => leaving,
        Err(error) => {
            tracing::warn!(%error, "it is not known which deletions are not finished");
            return;
        }
    };
    for (slug, customer) in leaving {
        if let Some(tenant) = app.tenant(&slug) {
            // An error is in the log by now.
            let _ = finish_deletion(app, tenant, &customer).await;
        }
    }
}

async fn stop(app: &App, tenant: &Tenant, customer: &str) -> Result<(), PageError> {
    app.db.stop_saving(&tenant.slug, customer).await?;
    app.db.forget_notice(&tenant.slug, customer).await?;
    let own = Filter::all().user(customer).contract(&tenant.contract_id);
    for entry in app.outbox.list(&own, None, usize::MAX).await? {
        if entry.state != State::Delivered {
            app.outbox.discard(entry.id).await?;
        }
    }
    Ok(())
}

/// The orders of a customer, the latest first, and where their receipts are. `None` if a receipt is not to be saved.
pub async fn of_customer(
    app: &App,
    tenant: &Tenant,
    customer: &str,
) -> Result<Vec<(Order, Option<State>)>, PageError> {
    let own = Filter::all().user(customer).contract(&tenant.contract_id);
    let entries = app.outbox.list(&own, None, usize::MAX).await?;
    let states: HashMap<_, _> = entries
        .into_iter()
        .map(|entry| (entry.reference, entry.state))
        .collect();
    let orders = app.db.orders(&tenant.slug, customer).await?.into_iter();
    Ok(orders
        .map(|order| {
            let state = states.get(&order.id).copied();
            (order, state)
        })
        .collect())
}

fn entry(app: &App, tenant: &Tenant, order: &Order) -> Result<Entry, PageError> {
    let receipt = Receipt {
        tenant,
        order,
        ordered_at: date_and_time(order.time()),
    };
    let receipt = receipt.render().map_err(PageError::internal)?;
    let name = format!("receipt-{}.txt", order.id);
    let item = Item::bytes(&name, receipt)
        .account(&order.customer)
        .tag("receipt");
    let item = match app.config.api {
        Api::Postbox => item,
        // What is imported has no file name.
        Api::Import => item.tag(name),
    };
    Ok(Entry::new(&order.customer, &tenant.contract_id, item).reference(&order.id))
}

/// The number of an order, without the letters and digits that people mistake for each other.
fn number() -> String {
    const CHARACTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut random = rand::rng();
    let characters = (0..10).filter_map(|_| CHARACTERS.choose(&mut random));
    characters.map(|&character| char::from(character)).collect()
}
