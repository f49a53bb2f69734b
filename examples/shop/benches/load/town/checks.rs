//! What has to be true in the end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use digime::store::{PostgresStore, SharedTokens};
use digime_outbox::Outbox;
use digime_sandbox::Sandbox;
use futures_util::TryStreamExt;
use shop::PostboxContract;
use sqlx::PgPool;

use super::person::Person;

/// How long all receipts may take after the last order. Those of a killed machine wait until its lease of a minute has ended.
const PATIENCE: Duration = Duration::from_mins(4);

/// Waits until nothing is on its way. Then all receipts are delivered.
pub async fn all_delivered(outbox: &Outbox) {
    let begun = Instant::now();
    loop {
        let counts = outbox.counts().await.expect("the database is there");
        if counts.waiting + counts.sending == 0 {
            assert_eq!(counts.given_up, 0, "receipts were given up");
            assert_eq!(
                counts.awaiting_consent, 0,
                "receipts wait for a consent: tokens were lost"
            );
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "receipts are still on their way: {counts:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Each person has tokens, and they are not in doubt.
pub async fn all_connected(tenants: &[shop::tenant::Tenant], database: &PgPool, people: usize) {
    let tokens = SharedTokens::new(PostgresStore::new(database.clone()));
    let mut connected = 0;
    for tenant in tenants {
        let connections = tokens.connections(&PostboxContract::of(tenant));
        let connections = connections.try_collect::<Vec<_>>().await;
        let connections = connections.expect("the database is there");
        let contract = &tenant.contract_id;
        for (customer, connection) in &connections {
            assert!(
                !connection.is_in_doubt(),
                "the tokens of {customer} under {contract} are in doubt"
            );
        }
        connected += connections.len();
    }
    assert_eq!(connected, people, "the number of people with tokens");
}

/// Each order that was booked is somebody's, and its receipt arrived in this person's digi.me. Returns how many there are.
pub async fn all_arrived(sandbox: &Sandbox, people: &[Arc<Person>], database: &PgPool) -> usize {
    let orders = sqlx::query_as("SELECT id, tenant, customer FROM shop_orders")
        .fetch_all(database)
        .await;
    let orders: Vec<(String, String, String)> = orders.expect("the database is there");
    let inbox = sandbox.inbox();
    let mut arrived = HashMap::new();
    for item in &inbox {
        let text = |field: &serde_json::Value| field.as_str().unwrap_or_default().to_owned();
        let reference = text(&item.descriptor["reference"][0]);
        let account = text(&item.descriptor["accounts"][0]["accountId"]);
        arrived.insert(reference, (item.contract_id.clone(), account));
    }
    for (id, tenant, customer) in &orders {
        let receipt = arrived.remove(id);
        let expected = (format!("{tenant}-receipts"), customer.clone());
        assert_eq!(receipt, Some(expected), "where the receipt {id} arrived");
    }
    assert!(
        arrived.is_empty(),
        "receipts of no orders arrived: {arrived:?}"
    );

    let mut shown = HashSet::new();
    for person in people {
        shown.extend(saved(&person.receipts().await));
    }
    assert_eq!(shown.len(), orders.len(), "orders of nobody were booked");
    orders.len()
}

/// The orders on a customer's page. All of them have to be saved.
fn saved(page: &str) -> Vec<String> {
    assert!(
        page.contains("id=\"consent-given\""),
        "somebody is not connected: {page}"
    );
    let rows = page.split("<li class=\"row order\" id=\"").skip(1);
    let saved = rows.map(|row| {
        let (id, rest) = row.split_once('"').expect("an id");
        assert!(
            rest.starts_with(" data-state=\"saved\""),
            "the receipt {id} is not saved: {page}"
        );
        id.to_owned()
    });
    saved.collect()
}
