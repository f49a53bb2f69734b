//! The tests that every store must pass, the built-in ones and yours. Enable the feature `conformance` for your tests.
//!
//! ```
//! use digime::store::{MemoryStore, conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::flow_store(&MemoryStore::new()).await;
//! conformance::token_store(&MemoryStore::new()).await;
//! # }
//! ```

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::{FlowRecord, FlowStore, Found, TokenRecord, TokenStore};
use crate::random;

const LONG: Duration = Duration::from_secs(10 * 60);
const SHORT: Duration = Duration::from_millis(300);
const LONGER_THAN_SHORT: Duration = Duration::from_millis(600);

/// Tests a store of flows, under keys that nobody else has.
///
/// # Panics
/// If the store does not do what [`FlowStore`] says. The message says what is wrong.
pub async fn flow_store(store: &impl FlowStore) {
    gives_out_what_was_put(store).await;
    gives_out_once_to_many(store).await;
    forgets_what_has_expired(store).await;
    a_later_put_replaces_an_earlier_one(store).await;
    a_repeated_put_changes_nothing(store).await;
    a_claim_gets_its_record_again(store).await;
    a_record_put_back_waits_again(store).await;
    a_note_stays_in_place_of_the_record(store).await;
}

/// Tests a store of tokens, under users that nobody else has.
///
/// # Panics
/// If the store does not do what [`TokenStore`] says. The message says what is wrong.
pub async fn token_store(store: &impl TokenStore) {
    keeps_what_was_saved(store).await;
    replaces_and_removes_one_version(store).await;
    a_repeated_replacement_succeeds_and_changes_nothing(store).await;
    a_removal_is_reported_once(store).await;
    grants_a_lease_to_one(store).await;
    grants_a_lease_again_to_its_holder(store).await;
    grants_a_lease_again_when_it_has_ended(store).await;
    grants_leases_of_any_duration(store).await;
    lists_users_in_order(store).await;
}

fn key() -> String {
    format!("conformance \"{}\" ü", random::nonce())
}

fn parked(record: &str, expires_in: Duration) -> FlowRecord {
    FlowRecord {
        id: random::nonce(),
        record: record.to_owned(),
        expires_in,
    }
}

async fn gives_out_what_was_put(store: &impl FlowStore) {
    let (one, other) = (key(), key());
    let long = "x' ü {}\n".repeat(4000);
    put(store, &one, &parked("one", LONG)).await;
    put(store, &other, &parked(&long, LONG)).await;
    for _ in 0..2 {
        assert_eq!(
            peek(store, &other).await,
            Some(Found::Waiting(long.clone())),
            "a look leaves a record there"
        );
    }
    assert_eq!(
        take(store, &other).await.as_ref(),
        Some(&long),
        "a record comes back as it was"
    );
    assert_eq!(
        take(store, &other).await,
        None,
        "a record is given out once"
    );
    assert_eq!(
        peek(store, &other).await,
        Some(Found::Taken(None)),
        "a look tells that a record was taken"
    );
    assert!(
        take(store, &one).await.is_some(),
        "a record stays when another is taken"
    );
    let unknown = key();
    assert_eq!(
        (peek(store, &unknown).await, take(store, &unknown).await),
        (None, None),
        "an unknown key has nothing"
    );
}

async fn gives_out_once_to_many(store: &impl FlowStore) {
    let keys: Vec<String> = (0..20).map(|_| key()).collect();
    for key in &keys {
        put(store, key, &parked(key, LONG)).await;
    }
    let claims = keys.iter().flat_map(|key| [key; 5]);
    let taken = join_all(claims.map(|key| take(store, key))).await;
    let records: Vec<String> = taken.into_iter().flatten().collect();
    let distinct: HashSet<&String> = records.iter().collect();
    assert_eq!(
        (records.len(), distinct.len()),
        (keys.len(), keys.len()),
        "of five that take a record at once, one gets it"
    );
}

async fn forgets_what_has_expired(store: &impl FlowStore) {
    let (one, gone, far) = (key(), key(), key());
    put(store, &one, &parked("one", SHORT)).await;
    put(store, &gone, &parked("gone", Duration::ZERO)).await;
    put(store, &far, &parked("far", Duration::MAX)).await;
    tokio::time::sleep(LONGER_THAN_SHORT).await;
    assert_eq!(
        (peek(store, &one).await, take(store, &one).await),
        (None, None),
        "a record expires"
    );
    assert_eq!(
        take(store, &gone).await,
        None,
        "a record may have expired before it is put"
    );
    assert!(
        take(store, &far).await.is_some(),
        "a record may never expire"
    );
}

async fn a_later_put_replaces_an_earlier_one(store: &impl FlowStore) {
    let (shortened, extended, taken) = (key(), key(), key());
    put(store, &shortened, &parked("earlier", LONG)).await;
    put(store, &shortened, &parked("later", SHORT)).await;
    put(store, &extended, &parked("earlier", SHORT)).await;
    put(store, &extended, &parked("later", LONG)).await;
    tokio::time::sleep(LONGER_THAN_SHORT).await;
    assert_eq!(
        take(store, &shortened).await,
        None,
        "a later put under the same key replaces the expiry: this record has expired"
    );
    assert_eq!(
        take(store, &extended).await.as_deref(),
        Some("later"),
        "a later put under the same key replaces the record and its expiry"
    );
    assert_eq!(
        take(store, &extended).await,
        None,
        "a key that was put twice has one record"
    );
    put(store, &taken, &parked("earlier", LONG)).await;
    store.take(&taken, "claim").await.expect("the store works");
    store
        .leave_note(&taken, "claim", "note")
        .await
        .expect("the store works");
    put(store, &taken, &parked("later", LONG)).await;
    assert_eq!(
        take(store, &taken).await.as_deref(),
        Some("later"),
        "a record can be put where one was taken"
    );
}

async fn a_repeated_put_changes_nothing(store: &impl FlowStore) {
    let key = key();
    let record = parked("record", LONG);
    for _ in 0..2 {
        put(store, &key, &record).await;
    }
    assert!(
        take(store, &key).await.is_some(),
        "a record that was put twice is there"
    );
    put(store, &key, &record).await;
    assert_eq!(
        take(store, &key).await,
        None,
        "the same put again does not bring back a record that was taken"
    );
}

async fn a_claim_gets_its_record_again(store: &impl FlowStore) {
    let key = key();
    put(store, &key, &parked("record", LONG)).await;
    for _ in 0..2 {
        let taken = store.take(&key, "claim").await.expect("the store works");
        assert_eq!(
            taken.as_deref(),
            Some("record"),
            "a claim that asks again gets its record again"
        );
    }
    assert_eq!(
        take(store, &key).await,
        None,
        "and it is still its own alone"
    );
}

async fn a_record_put_back_waits_again(store: &impl FlowStore) {
    let (key, short) = (key(), key());
    put(store, &key, &parked("record", LONG)).await;
    put_back(store, &key, "claim").await;
    for claim in ["first", "second"] {
        let taken = store.take(&key, claim).await.expect("the store works");
        assert_eq!(
            taken.as_deref(),
            Some("record"),
            "a record that is put back is given out once more"
        );
        put_back(store, &key, "another").await;
        assert_eq!(
            peek(store, &key).await,
            Some(Found::Taken(None)),
            "a claim puts back what it has taken itself, and nothing else"
        );
        for _ in 0..2 {
            put_back(store, &key, claim).await;
        }
    }
    let claims = join_all([take(store, &key), take(store, &key)]).await;
    assert_eq!(
        claims.into_iter().flatten().count(),
        1,
        "a record that is put back is given out once"
    );
    put(store, &short, &parked("record", SHORT)).await;
    store.take(&short, "claim").await.expect("the store works");
    put_back(store, &short, "claim").await;
    tokio::time::sleep(LONGER_THAN_SHORT).await;
    assert_eq!(
        take(store, &short).await,
        None,
        "a record that is put back expires when it would have"
    );
}

async fn a_note_stays_in_place_of_the_record(store: &impl FlowStore) {
    let (key, short) = (key(), key());
    put(store, &key, &parked("record", LONG)).await;
    let note = async |key: &str, claim: &str, note: &str| {
        let noted = store.leave_note(key, claim, note).await;
        noted.expect("the store works");
    };
    note(&key, "claim", "too early").await;
    assert_eq!(
        peek(store, &key).await,
        Some(Found::Waiting("record".into())),
        "a note can be left only by the claim that has taken the record"
    );
    store.take(&key, "claim").await.expect("the store works");
    note(&key, "another", "another's").await;
    for _ in 0..2 {
        note(&key, "claim", "note ü").await;
    }
    put_back(store, &key, "claim").await;
    assert_eq!(
        peek(store, &key).await,
        Some(Found::Taken(Some("note ü".into()))),
        "a note stays, also when its claim puts the record back after that"
    );
    assert_eq!(
        take(store, &key).await,
        None,
        "a record with a note is given to no other claim"
    );
    put(store, &short, &parked("record", SHORT)).await;
    store.take(&short, "claim").await.expect("the store works");
    note(&short, "claim", "note").await;
    tokio::time::sleep(LONGER_THAN_SHORT).await;
    assert_eq!(
        peek(store, &short).await,
        None,
        "a note expires with its record"
    );
}

async fn put(store: &impl FlowStore, key: &str, parked: &FlowRecord) {
    store.put(key, parked).await.expect("the store works");
}

async fn peek(store: &impl FlowStore, key: &str) -> Option<Found> {
    store.peek(key).await.expect("the store works")
}

/// Takes for a claim that nobody else has.
async fn take(store: &impl FlowStore, key: &str) -> Option<String> {
    let claim = random::nonce();
    store.take(key, &claim).await.expect("the store works")
}

async fn put_back(store: &impl FlowStore, key: &str, claim: &str) {
    store.put_back(key, claim).await.expect("the store works");
}

fn kept(record: &str) -> TokenRecord {
    TokenRecord {
        version: random::nonce(),
        record: record.to_owned(),
    }
}

async fn keeps_what_was_saved(store: &impl TokenStore) {
    let (one, other) = (key(), key());
    let (first, second, others) = (kept("first ü"), kept("second"), kept("others"));
    assert_eq!(load(store, &one).await, None, "an unknown user has nothing");
    save(store, &one, &first).await;
    save(store, &other, &others).await;
    assert_eq!(
        load(store, &one).await.as_ref(),
        Some(&first),
        "what was saved is there"
    );
    let saved = store.replace(&one, None, &second).await;
    assert!(
        !saved.expect("the store works"),
        "a record that is there is not replaced without its version"
    );
    assert!(
        store
            .replace(&one, None, &first)
            .await
            .expect("the store works"),
        "saving what is there already is a repetition"
    );
    assert_eq!(load(store, &one).await, Some(first), "the first save stays");
    assert_eq!(
        load(store, &other).await,
        Some(others),
        "a user's record is the user's alone"
    );
}

async fn replaces_and_removes_one_version(store: &impl TokenStore) {
    let user = key();
    let (first, second, third) = (kept("first"), kept("second"), kept("third"));
    let replace = async |version: Option<&str>, kept: &TokenRecord| {
        store
            .replace(&user, version, kept)
            .await
            .expect("the store works")
    };
    let remove = async |version: &str| store.remove(&user, version).await.expect("the store works");
    assert!(
        !replace(Some(&first.version), &second).await,
        "nothing is replaced where nothing is"
    );
    assert_eq!(load(store, &user).await, None, "nor saved");
    save(store, &user, &first).await;
    assert!(
        replace(Some(&first.version), &second).await,
        "the version that is there is replaced"
    );
    assert!(
        !replace(Some(&first.version), &third).await,
        "and is replaced once"
    );
    assert_eq!(
        load(store, &user).await,
        Some(second.clone()),
        "the first to replace it wins"
    );
    assert!(
        !remove(&first.version).await,
        "an old version removes nothing"
    );
    assert!(
        remove(&second.version).await,
        "the version that is there is removed"
    );
    assert_eq!(load(store, &user).await, None, "and is gone");
    assert!(
        !remove(&third.version).await,
        "nothing is removed where nothing is"
    );
}

async fn a_repeated_replacement_succeeds_and_changes_nothing(store: &impl TokenStore) {
    let user = key();
    let (first, second, third) = (kept("first"), kept("second"), kept("third"));
    let replace = async |version: Option<&str>, kept: &TokenRecord| {
        store
            .replace(&user, version, kept)
            .await
            .expect("the store works")
    };
    save(store, &user, &first).await;
    assert!(
        replace(Some(&first.version), &second).await,
        "the version that is there is replaced"
    );
    assert!(
        lease(store, &user, &second, "b", LONG).await,
        "a new version has no lease"
    );
    assert!(
        replace(Some(&first.version), &second).await,
        "a replacement whose new version is already there succeeds: it is a repetition of itself"
    );
    assert_eq!(
        load(store, &user).await,
        Some(second.clone()),
        "a repeated replacement leaves the record as it is"
    );
    assert!(
        !lease(store, &user, &second, "c", LONG).await,
        "a repeated replacement ends no lease"
    );
    assert!(
        replace(Some(&second.version), &third).await,
        "the version that is there is replaced"
    );
    assert!(
        !replace(Some(&first.version), &second).await,
        "a replacement fails when its new version was itself replaced"
    );
    assert_eq!(
        load(store, &user).await,
        Some(third),
        "a replacement that fails leaves the record as it is"
    );
}

async fn a_removal_is_reported_once(store: &impl TokenStore) {
    let user = key();
    let first = kept("first");
    save(store, &user, &first).await;
    let mut removed = Vec::new();
    for _ in 0..2 {
        let call = store.remove(&user, &first.version);
        removed.push(call.await.expect("the store works"));
    }
    assert_eq!(
        removed,
        [true, false],
        "removing what is already gone is no error, and false"
    );
}

async fn grants_a_lease_to_one(store: &impl TokenStore) {
    let user = key();
    let (first, second) = (kept("first"), kept("second"));
    assert!(
        !lease(store, &user, &first, "a", LONG).await,
        "there is no lease on nothing"
    );
    save(store, &user, &first).await;
    let granted = join_all((0..5).map(|holder| async move { holder.to_string() })).await;
    let granted = join_all(
        granted
            .iter()
            .map(|holder| lease(store, &user, &first, holder, LONG)),
    )
    .await;
    assert_eq!(
        granted.iter().filter(|granted| **granted).count(),
        1,
        "of five that ask at once, one gets the lease"
    );
    let holder = granted
        .iter()
        .position(|granted| *granted)
        .unwrap_or_default();
    store
        .release(&user, "nobody")
        .await
        .expect("the store works");
    assert!(
        !lease(store, &user, &first, "b", LONG).await,
        "another's release ends no lease"
    );
    store
        .release(&user, &holder.to_string())
        .await
        .expect("the store works");
    assert!(
        lease(store, &user, &first, "b", LONG).await,
        "a lease that was released is granted again"
    );
    store
        .replace(&user, Some(&first.version), &second)
        .await
        .expect("the store works");
    assert!(
        !lease(store, &user, &first, "c", LONG).await,
        "a version that was replaced has no lease"
    );
    assert!(
        lease(store, &user, &second, "c", LONG).await,
        "replacing ends the lease"
    );
    let third = kept("third");
    let removed = store.remove(&user, &second.version).await;
    assert!(removed.expect("the store works"), "it is removed");
    save(store, &user, &third).await;
    assert!(
        lease(store, &user, &third, "d", LONG).await,
        "removing ends the lease"
    );
}

async fn grants_a_lease_again_when_it_has_ended(store: &impl TokenStore) {
    let user = key();
    let first = kept("first");
    save(store, &user, &first).await;
    assert!(
        lease(store, &user, &first, "dies", SHORT).await,
        "a lease is granted"
    );
    tokio::time::sleep(LONGER_THAN_SHORT).await;
    assert!(
        lease(store, &user, &first, "lives", LONG).await,
        "a lease ends by itself"
    );
    store.release(&user, "dies").await.expect("the store works");
    assert!(
        !lease(store, &user, &first, "third", LONG).await,
        "one whose lease has ended releases nobody else's"
    );
}

async fn grants_a_lease_again_to_its_holder(store: &impl TokenStore) {
    let user = key();
    let first = kept("first");
    save(store, &user, &first).await;
    for _ in 0..2 {
        assert!(
            lease(store, &user, &first, "holder", LONG).await,
            "a holder that asks again for its lease gets it again"
        );
    }
    assert!(
        !lease(store, &user, &first, "other", LONG).await,
        "a lease that was granted again is still its holder's alone"
    );
    for _ in 0..2 {
        store
            .release(&user, "holder")
            .await
            .expect("a lease can be released twice");
    }
    assert!(
        lease(store, &user, &first, "other", LONG).await,
        "a lease that was granted twice ends with one release"
    );
}

async fn grants_leases_of_any_duration(store: &impl TokenStore) {
    let first = kept("first");
    for endless in [Duration::MAX, Duration::from_secs(u64::MAX)] {
        let user = key();
        save(store, &user, &first).await;
        assert!(
            lease(store, &user, &first, "a", endless).await,
            "a lease may be of any length, {endless:?} too"
        );
        assert!(
            !lease(store, &user, &first, "b", endless).await,
            "a lease of {endless:?} has not ended"
        );
    }
    let user = key();
    save(store, &user, &first).await;
    assert!(
        lease(store, &user, &first, "a", Duration::ZERO).await,
        "a lease may be of no length"
    );
    tokio::time::sleep(SHORT).await;
    assert!(
        lease(store, &user, &first, "b", LONG).await,
        "a lease of no length has ended"
    );
}

async fn lists_users_in_order(store: &impl TokenStore) {
    let (prefix, kept) = (key(), kept("a record"));
    let users = ["", "%20", "/", "A", "Z", "_", "a", "ab", "b"].map(|name| prefix.clone() + name);
    for user in users.iter().rev() {
        save(store, user, &kept).await;
    }
    save(store, &key(), &kept).await;
    let list = async |after: Option<&str>, limit| {
        let listed = store.list(&prefix, after, limit).await;
        let listed = listed.expect("the store works").into_iter();
        let (listed, records): (Vec<_>, Vec<_>) = listed.unzip();
        assert!(
            records.iter().all(|record| *record == kept),
            "each user is listed with its record"
        );
        listed
    };
    assert_eq!(
        list(None, 100).await,
        users,
        "all users with the prefix are listed, in the order of their bytes, and no others"
    );
    assert_eq!(
        list(None, 2).await,
        users[..2],
        "no more than was asked for"
    );
    for (index, user) in users.iter().enumerate() {
        assert_eq!(
            list(Some(user), 3).await,
            users[index + 1..]
                .iter()
                .take(3)
                .cloned()
                .collect::<Vec<_>>(),
            "those after a user, without it"
        );
    }
    assert!(
        store
            .remove(&users[4], &kept.version)
            .await
            .expect("the store works")
    );
    assert_eq!(
        list(Some(&users[3]), 1).await,
        users[5..6],
        "a user who was removed is not listed, and none before the one that was named"
    );
    assert_eq!(
        list(Some(""), 1).await,
        users[..1],
        "a place before the prefix is a beginning"
    );
}

async fn load(store: &impl TokenStore, user: &str) -> Option<TokenRecord> {
    store.load(user).await.expect("the store works")
}

/// Keeps a record of a user who has none.
async fn save(store: &impl TokenStore, user: &str, kept: &TokenRecord) {
    let saved = store.replace(user, None, kept).await;
    assert!(
        saved.expect("the store works"),
        "a record is kept where there is none"
    );
}

async fn lease(
    store: &impl TokenStore,
    user: &str,
    kept: &TokenRecord,
    holder: &str,
    duration: Duration,
) -> bool {
    store
        .lease(user, &kept.version, holder, duration)
        .await
        .expect("the store works")
}
