//! What is enqueued, listed and removed.

use digime::PostboxItem;
use digime_outbox::{DeliverError, Enqueued, Error, Filter, Outbox, Recipient, State};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use super::{CONTRACT, counts, entry, listed, only, quick, run};
use crate::set_up::on_each_database;

on_each_database! {
    a_reference_is_added_once_for_each_recipient
    an_entry_is_there_when_its_transaction_is_committed
    a_delivered_entry_keeps_no_content_and_is_removed_after_its_retention
    pages_show_the_newest_first_and_end
    a_user_who_leaves_leaves_nothing
}

async fn nothing(_: Recipient, _: PostboxItem) -> Result<(), DeliverError> {
    Ok(())
}

async fn a_reference_is_added_once_for_each_recipient(outbox: Outbox, _: &str) {
    let first = entry("one", "receipt-1");
    let added = [
        outbox.enqueue(&first).await.expect("added"),
        outbox.enqueue(&first).await.expect("known"),
        outbox
            .enqueue(&entry("two", "receipt-1"))
            .await
            .expect("added"),
        outbox
            .enqueue(&entry("one", "receipt-2"))
            .await
            .expect("added"),
    ];
    let (new, known) = (Enqueued::Added, Enqueued::AlreadyThere);
    assert_eq!(added, [new, known, new, new]);
    let counts = outbox.counts().await.expect("counts");
    assert_eq!(counts.waiting, 3);
    assert!(counts.oldest.is_some());

    let worker = run(quick(&outbox, nothing));
    super::counts(&outbox, |counts| counts.delivered == 3).await;
    let again = outbox.enqueue(&first).await.expect("known");
    assert_eq!(again, known, "a delivered reference is known too");
    worker.stop().await;
}

async fn an_entry_is_there_when_its_transaction_is_committed(outbox: Outbox, url: &str) {
    macro_rules! in_transactions {
        ($connection:expr) => {{
            let mut connection = $connection.expect("a connection");
            for (reference, is_committed) in [("rolled back", false), ("committed", true)] {
                let mut tx = connection.begin().await.expect("a transaction");
                let added = outbox.enqueue_in(&mut *tx, &entry("one", reference)).await;
                assert_eq!(added.expect("it works"), Enqueued::Added);
                if is_committed {
                    tx.commit().await.expect("committed");
                } else {
                    tx.rollback().await.expect("rolled back");
                }
            }
        }};
    }
    let mut other = SqliteConnection::connect("sqlite::memory:")
        .await
        .expect("memory");
    if url.starts_with("sqlite:") {
        in_transactions!(SqliteConnection::connect(url).await);
    } else {
        in_transactions!(PgConnection::connect(url).await);
        let wrong = outbox.enqueue_in(&mut other, &entry("one", "x")).await;
        assert!(matches!(wrong, Err(Error::AnotherDatabase)), "{wrong:?}");
    }
    assert_eq!(only(&outbox).await.reference, "committed");
}

async fn a_delivered_entry_keeps_no_content_and_is_removed_after_its_retention(
    outbox: Outbox,
    url: &str,
) {
    outbox.enqueue(&entry("one", "kept")).await.expect("added");
    let worker = run(quick(&outbox, nothing));
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    let with_content = "SELECT count(*) FROM digime_outbox WHERE content IS NOT NULL";
    let query = || sqlx::query_scalar(AssertSqlSafe(with_content));
    let with_content: i64 = if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.expect("a file");
        query().fetch_one(&mut connection).await.expect("a count")
    } else {
        let mut connection = PgConnection::connect(url).await.expect("a server");
        sqlx::query_scalar(AssertSqlSafe(
            "SELECT count(*) FROM digime_outbox WHERE content IS NOT NULL",
        ))
        .fetch_one(&mut connection)
        .await
        .expect("a count")
    };
    assert_eq!(with_content, 0);
    let kept = only(&outbox).await;
    assert_eq!(
        (kept.state, kept.size, kept.attempts),
        (State::Delivered, 8, 1)
    );
    assert_eq!((kept.tags.len(), kept.due_at), (1, None));

    let short = outbox.clone().retention(std::time::Duration::ZERO);
    short.enqueue(&entry("one", "gone")).await.expect("added");
    let worker = run(quick(&short, nothing));
    counts(&outbox, |counts| counts.waiting + counts.sending == 0).await;
    worker.stop().await;
    // A worker removes when it starts. The one before may have removed the entry already.
    let worker = run(quick(&short, nothing));
    counts(&outbox, |counts| counts.delivered == 1).await;
    worker.stop().await;
    assert_eq!(only(&outbox).await.reference, "kept");
}

async fn pages_show_the_newest_first_and_end(outbox: Outbox, _: &str) {
    for number in 0..5 {
        let entry = entry("one", &number.to_string());
        outbox.enqueue(&entry).await.expect("added");
    }
    outbox.enqueue(&entry("two", "other")).await.expect("added");
    let filter = Filter::all()
        .user("one")
        .contract(CONTRACT)
        .state(State::Waiting);
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = outbox.list(&filter, after, 2).await.expect("a page");
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.into_iter().map(|entry| entry.reference));
    }
    assert_eq!(seen, ["4", "3", "2", "1", "0"]);
    let none = outbox.list(&filter.contract("another"), None, 2).await;
    assert!(none.expect("a page").is_empty());
}

async fn a_user_who_leaves_leaves_nothing(outbox: Outbox, _: &str) {
    for user in ["one", "one", "two"] {
        let entry = entry(user, &format!("{:x}", fastrand::u64(..)));
        outbox.enqueue(&entry).await.expect("added");
    }
    assert_eq!(outbox.forget("one", CONTRACT).await.expect("it works"), 2);
    let left = listed(&outbox, State::Waiting).await;
    let users: Vec<_> = left.iter().map(|entry| &*entry.recipient.user).collect();
    assert_eq!(users, ["two"]);
}
