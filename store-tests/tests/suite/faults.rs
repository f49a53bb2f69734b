//! Connections that break: nothing is lost, and what is wrong is said.

use std::time::Duration;

use digime::Error;
use digime::error::StoreError;
use digime::store::{
    FlowRecord, FlowStore, Found, PostgresStore, RedisStore, TokenRecord, TokenStore,
};
use digime_store_tests::with_store;
use tokio::net::TcpListener;

use crate::proxy::Proxy;
use crate::set_up::{Restartable, on_each_store, postgres_to_restart, redis_to_restart, user};

const LONG: Duration = Duration::from_mins(10);

macro_rules! on_each_server {
    ($($test:ident)*) => {
        on_each_store!(@store postgres $($test)*);
        on_each_store!(@store redis $($test)*);
    };
}

on_each_server! {
    a_take_whose_answer_is_lost_gives_the_record_out_once
    a_record_whose_putting_back_loses_its_answer_is_given_out_once_more
    a_note_whose_answer_is_lost_is_left
    a_put_whose_answer_is_lost_revives_no_record_that_was_taken_meanwhile
    a_lease_whose_answer_is_lost_is_granted_to_its_holder
    a_replacement_whose_answer_is_lost_succeeds
    a_save_whose_answer_is_lost_undoes_no_replacement_made_meanwhile
    a_removal_whose_answer_is_lost_removes
}

fn parked(record: &str) -> FlowRecord {
    FlowRecord {
        id: "a put".into(),
        record: record.to_owned(),
        expires_in: LONG,
    }
}

fn kept(version: &str) -> TokenRecord {
    TokenRecord {
        version: version.to_owned(),
        record: format!("the record of version {version}"),
    }
}

/// Keeps a record of a user who has none.
async fn save(store: &impl TokenStore, user: &str) {
    let saved = store.replace(user, None, &kept("1")).await;
    assert!(saved.expect("it is saved"));
}

/// Does a call once before the one whose answer is lost, so that the server knows its statement or script.
async fn known(store: &(impl FlowStore + TokenStore)) {
    let user = user();
    store.put(&user, &parked("known")).await.expect("it works");
    store.take(&user, "a").await.expect("it works");
    store.put_back(&user, "a").await.expect("it works");
    store.leave_note(&user, "a", "").await.expect("it works");
    let saved = store.replace(&user, None, &kept("1")).await;
    assert!(saved.expect("it works"));
    let leased = store.lease(&user, "1", "holder", LONG).await;
    assert!(leased.expect("it works"));
    let replaced = store.replace(&user, Some("1"), &kept("2")).await;
    assert!(replaced.expect("it works"));
    let removed = store.remove(&user, "2").await;
    assert!(removed.expect("it works"));
}

/// Does a call while its answer is lost and, after the server has answered, something else happens.
async fn losing<T>(
    proxy: &Proxy,
    key: &str,
    call: impl Future<Output = T>,
    meanwhile: impl AsyncFnOnce(),
) -> T {
    let mut lost = proxy.lose_answer_to(key);
    let meanwhile = async {
        lost.answered().await;
        meanwhile().await;
        drop(lost);
    };
    tokio::join!(call, meanwhile).0
}

async fn a_take_whose_answer_is_lost_gives_the_record_out_once(url: &str) {
    let (proxy, key) = (Proxy::start(url).await, user());
    with_store!(&proxy.url, store => {
        known(&store).await;
        store.put(&key, &parked("the record")).await.expect("it is put");
        let taken = losing(&proxy, &key, store.take(&key, "a"), async || ()).await;
        let taken = taken.expect("a take is repeated").expect("the record is still there");
        assert_eq!(taken, "the record");
        assert_eq!(store.take(&key, "b").await.expect("it works"), None);
    });
}

async fn a_record_whose_putting_back_loses_its_answer_is_given_out_once_more(url: &str) {
    let (proxy, key) = (Proxy::start(url).await, user());
    with_store!(url, elsewhere => with_store!(&proxy.url, store => {
        known(&store).await;
        store.put(&key, &parked("the record")).await.expect("it is put");
        store.take(&key, "a").await.expect("it works");
        let put_back = losing(&proxy, &key, store.put_back(&key, "a"), async || {
            let taken = elsewhere.take(&key, "b").await.expect("it works");
            assert!(taken.is_some(), "it was put back");
        });
        put_back.await.expect("it is repeated");
        assert_eq!(store.take(&key, "c").await.expect("it works"), None);
    }));
}

async fn a_note_whose_answer_is_lost_is_left(url: &str) {
    let (proxy, key) = (Proxy::start(url).await, user());
    with_store!(&proxy.url, store => {
        known(&store).await;
        store.put(&key, &parked("the record")).await.expect("it is put");
        store.take(&key, "a").await.expect("it works");
        let noted = losing(&proxy, &key, store.leave_note(&key, "a", "a note"), async || ()).await;
        noted.expect("it is repeated");
        let found = store.peek(&key).await.expect("it works");
        assert_eq!(found, Some(Found::Taken(Some("a note".into()))));
    });
}

async fn a_put_whose_answer_is_lost_revives_no_record_that_was_taken_meanwhile(url: &str) {
    let (proxy, key) = (Proxy::start(url).await, user());
    with_store!(url, elsewhere => with_store!(&proxy.url, store => {
        known(&store).await;
        let parked = parked("the record");
        let put = losing(&proxy, &key, store.put(&key, &parked), async || {
            let taken = elsewhere.take(&key, "a").await.expect("it works");
            assert!(taken.is_some(), "the put was done");
        });
        put.await.expect("a put is repeated");
        assert_eq!(store.take(&key, "b").await.expect("it works"), None);
    }));
}

async fn a_lease_whose_answer_is_lost_is_granted_to_its_holder(url: &str) {
    let (proxy, user) = (Proxy::start(url).await, user());
    with_store!(&proxy.url, store => {
        known(&store).await;
        save(&store, &user).await;
        let granted = losing(&proxy, &user, store.lease(&user, "1", "a", LONG), async || ()).await;
        assert!(granted.expect("a lease is repeated"));
        let other = store.lease(&user, "1", "b", LONG).await;
        assert!(!other.expect("it works"));
    });
}

async fn a_replacement_whose_answer_is_lost_succeeds(url: &str) {
    let (proxy, user) = (Proxy::start(url).await, user());
    with_store!(&proxy.url, store => {
        known(&store).await;
        save(&store, &user).await;
        let (old, new) = (Some("1"), kept("2"));
        let replaced = losing(&proxy, &user, store.replace(&user, old, &new), async || ()).await;
        assert!(replaced.expect("a replacement is repeated"));
        assert_eq!(store.load(&user).await.expect("it works"), Some(kept("2")));
    });
}

async fn a_save_whose_answer_is_lost_undoes_no_replacement_made_meanwhile(url: &str) {
    let (proxy, user) = (Proxy::start(url).await, user());
    let first = kept("1");
    with_store!(url, elsewhere => with_store!(&proxy.url, store => {
        known(&store).await;
        let saved = losing(&proxy, &user, store.replace(&user, None, &first), async || {
            let replaced = elsewhere.replace(&user, Some("1"), &kept("2")).await;
            assert!(replaced.expect("it works"), "the save was done");
        });
        let saved = saved.await.expect("a save is repeated");
        assert!(!saved, "another record has come in its place");
        assert_eq!(store.load(&user).await.expect("it works"), Some(kept("2")));
    }));
}

async fn a_removal_whose_answer_is_lost_removes(url: &str) {
    let (proxy, user) = (Proxy::start(url).await, user());
    with_store!(&proxy.url, store => {
        known(&store).await;
        save(&store, &user).await;
        let removed = losing(&proxy, &user, store.remove(&user, "1"), async || ()).await;
        removed.expect("a removal is repeated");
        assert_eq!(store.load(&user).await.expect("it works"), None);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_may_go_away_and_come_back() {
    if let Some(server) = postgres_to_restart() {
        goes_away_and_comes_back(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_go_away_and_come_back() {
    if let Some(server) = redis_to_restart() {
        goes_away_and_comes_back(&server).await;
    }
}

async fn goes_away_and_comes_back(server: &Restartable) {
    let key = user();
    with_store!(&server.url, store => {
        known(&store).await;
        store.put(&key, &parked("the record")).await.expect("it is put");
        server.stop().await;
        server.start().await;
        let taken = store.take(&key, "a").await.expect("the first call after a restart succeeds");
        assert_eq!(taken.as_deref(), Some("the record"), "the record is still there");

        save(&store, &key).await;
        server.stop().await;
        let error = store.load(&key).await.expect_err("nobody is there");
        assert_says(&error, "refused");
        server.start().await;
        let loaded = store.load(&key).await.expect("the first call after it came back succeeds");
        assert_eq!(loaded, Some(kept("1")));
    });
}

/// Checks that the error's causes say it.
fn assert_says(error: &StoreError, text: &str) {
    let said = Error::from(error.clone()).report().to_string();
    assert!(said.contains(text), "{said}");
}

#[tokio::test]
async fn postgres_that_is_not_there_is_said_to_refuse() {
    let port = free_port().await;
    let url = format!("postgres://digime:hush@127.0.0.1:{port}/shop");
    let error = PostgresStore::connect(&url)
        .await
        .expect_err("nobody is there");
    assert_says(&error, "refused");
    assert_says(
        &error,
        &format!("PostgreSQL at 127.0.0.1:{port}, database `shop`"),
    );
    assert!(!Error::from(error).report().to_string().contains("hush"));
}

#[tokio::test]
async fn redis_that_is_not_there_is_said_to_refuse() {
    let port = free_port().await;
    let url = format!("redis://digime:hush@127.0.0.1:{port}");
    let error = RedisStore::connect(&url)
        .await
        .expect_err("nobody is there");
    assert_says(&error, "refused");
    assert_says(&error, &format!("Redis at 127.0.0.1:{port}"));
    assert!(!Error::from(error).report().to_string().contains("hush"));
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address");
    let postgres = PostgresStore::connect(&format!("postgres://digime@{address}/digime")).await;
    assert_says(&postgres.expect_err("nobody answers"), "no answer");
    let redis = RedisStore::connect(&format!("redis://{address}")).await;
    redis.expect_err("nobody answers");
}
