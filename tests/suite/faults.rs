//! Faults of the network and the platform: what is retried, and which errors the rest leads to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use digime::error::{ItemError, RequestError};
use digime::{Client, Error, PostboxItem};
use digime_sandbox::{Endpoint, Fault};
use futures_util::stream;
use tokio_util::io::StreamReader;

use crate::set_up::{
    authorized, authorized_with, awaiting_ongoing, awaiting_with, client, consent, quick, ready,
    receipts, sandbox, welcome,
};

#[tokio::test]
async fn transient_faults_are_retried() {
    let sandbox = sandbox().await;
    let flow = receipts(&sandbox).flow(&client(&sandbox));
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(429),
        Fault::Status(408),
        Fault::DisconnectAfter(0),
        Fault::LoseAnswer,
        Fault::CutAnswer,
    ] {
        sandbox.inject(Endpoint::Session, fault.clone());
        let session = flow
            .establish_session()
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        drop(session);
    }
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test]
async fn permanent_refusals_are_not_retried() {
    let sandbox = sandbox().await;
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    for status in [400, 403, 404, 301, 501] {
        sandbox.inject(Endpoint::Session, Fault::Status(status));
        let error = flow.establish_session().await.expect_err("a refusal");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn retries_end() {
    let sandbox = sandbox().await;
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    for _ in 0..3 {
        sandbox.inject(Endpoint::Session, Fault::Status(503));
    }
    let error = flow.establish_session().await.expect_err("a refusal");
    assert!(error.to_string().ends_with("try again later"), "{error}");
    let _ = flow
        .establish_session()
        .await
        .expect("three attempts were made, not four");
}

#[tokio::test]
async fn a_retry_waits_for_as_long_as_the_platform_asks() {
    let sandbox = sandbox().await;
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    sandbox.inject(Endpoint::Session, Fault::RetryAfter(503, 1));
    let begun = Instant::now();
    let _ = flow.establish_session().await.expect("a session");
    assert!(begun.elapsed() >= Duration::from_secs(1));

    sandbox.inject(Endpoint::Session, Fault::RetryAfter(429, 3600));
    match flow
        .establish_session()
        .await
        .expect_err("too long to wait")
    {
        Error::Request(RequestError::Refused { refusal, .. }) => {
            assert_eq!(refusal.retry_after, Some(Duration::from_hours(1)));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_code_is_exchanged_again_only_if_it_can_not_be_spent() {
    let sandbox = sandbox().await;
    for fault in [Fault::Status(429), Fault::Status(503), Fault::Status(408)] {
        let awaiting = awaiting_ongoing(&sandbox).await;
        let callback = consent(&sandbox, awaiting.url()).await;
        sandbox.inject(Endpoint::Token, fault);
        let _ = awaiting.exchange_code(callback).await.expect("a token");
    }
    for fault in [
        Fault::Status(500),
        Fault::LoseAnswer,
        Fault::CutAnswer,
        Fault::DisconnectAfter(0),
    ] {
        let awaiting = awaiting_ongoing(&sandbox).await;
        let callback = consent(&sandbox, awaiting.url()).await;
        sandbox.inject(Endpoint::Token, fault.clone());
        let rejected = awaiting
            .exchange_code(callback.clone())
            .await
            .expect_err("a rejection");
        assert!(
            rejected.error().may_have_taken_effect(),
            "{fault:?}: {rejected}"
        );
        assert!(
            rejected
                .to_string()
                .contains("the code may already be spent"),
            "{rejected}"
        );
        let spent = matches!(fault, Fault::LoseAnswer | Fault::CutAnswer);
        let again = rejected.into_flow().exchange_code(callback).await;
        assert_eq!(again.is_err(), spent, "{fault:?}");
    }
}

#[tokio::test]
async fn an_exchange_whose_keys_can_not_be_fetched_is_a_lost_answer() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .call_timeout(Duration::from_secs(1))
        .build()
        .expect("a client");
    let awaiting = awaiting_with(&sandbox, &client).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    sandbox.rotate_key();
    for _ in 0..1000 {
        sandbox.inject(Endpoint::Keys, Fault::Status(404));
    }
    let rejected = awaiting
        .exchange_code(callback)
        .await
        .expect_err("a rejection");
    assert!(rejected.error().may_have_taken_effect(), "{rejected}");
}

#[tokio::test]
async fn the_keys_that_an_exchange_needs_are_fetched_again() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).max_retries(0).build().expect("a client");
    let awaiting = awaiting_with(&sandbox, &client).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    sandbox.rotate_key();
    for fault in [
        Fault::Status(404),
        Fault::RetryAfter(503, 0),
        Fault::Answer("<html>".into()),
        Fault::CutAnswer,
    ] {
        sandbox.inject(Endpoint::Keys, fault);
    }
    let exchanged = awaiting.exchange_code(callback).await;
    assert!(exchanged.is_ok(), "{exchanged:?}");
    assert_eq!(sandbox.requests(Endpoint::Token), 1);
}

#[tokio::test]
async fn a_retried_push_reads_the_file_again() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.bin");
    std::fs::write(&path, vec![3; 2_000_000]).expect("a file");
    for fault in [
        Fault::DisconnectAfter(0),
        Fault::DisconnectAfter(1_000_000),
        Fault::DisconnectAfter(u64::MAX),
        Fault::Status(503),
    ] {
        sandbox.inject(Endpoint::Push, fault.clone());
        let _ = flow
            .push(PostboxItem::file(&path))
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(sandbox.inbox().pop().expect("a file").size, 2_000_000);
    }
    assert_eq!(sandbox.inbox().len(), 4);
    assert_eq!(
        sandbox.violations(),
        [""; 0],
        "no nonce, key or IV was sent twice"
    );
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_says_that_it_may_have_arrived() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox).max_retries(0).build().expect("a client");
    let flow = authorized_with(&sandbox, &client).await;
    sandbox.inject(Endpoint::Push, Fault::LoseAnswer);
    let error = flow
        .push(PostboxItem::bytes("a", "b"))
        .await
        .expect_err("a lost answer");
    assert!(error.may_have_taken_effect());
    assert!(
        error
            .to_string()
            .contains("the data may have been delivered"),
        "{error}"
    );
    assert_eq!(sandbox.inbox().len(), 1);
}

#[tokio::test]
async fn a_push_that_is_too_large_says_so() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    sandbox.inject(Endpoint::Push, Fault::Status(413));
    let error = flow
        .push(PostboxItem::bytes("a", "b"))
        .await
        .expect_err("a refusal");
    assert!(
        error.to_string().ends_with("push something smaller"),
        "{error}"
    );
    assert!(!error.may_have_taken_effect());
}

#[tokio::test]
async fn a_small_request_that_is_refused_as_too_large_is_not_called_a_push() {
    let sandbox = sandbox().await;
    sandbox.inject(Endpoint::Session, Fault::Status(413));
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    let error = flow.establish_session().await.expect_err("a refusal");
    let message = error.to_string();
    assert!(!message.contains("push"), "{message}");
    assert!(message.contains("proxy"), "{message}");
}

#[tokio::test]
async fn a_redirected_exchange_may_have_spent_its_code() {
    let sandbox = sandbox().await;
    let awaiting = awaiting_with(&sandbox, &client(&sandbox)).await;
    let callback = consent(&sandbox, awaiting.url()).await;
    sandbox.inject(Endpoint::Token, Fault::Status(303));
    let rejected = awaiting.exchange_code(callback).await;
    let rejected = rejected.expect_err("a redirection");
    assert!(rejected.error().may_have_taken_effect(), "{rejected}");
    let message = rejected.to_string();
    assert!(message.contains("check the base URL"), "{message}");
    assert_eq!(sandbox.requests(Endpoint::Token), 1);
}

#[tokio::test]
async fn an_item_whose_reader_hangs_is_not_blamed_on_the_platform() {
    let sandbox = sandbox().await;
    let client = quick(&sandbox)
        .stall_timeout(Duration::from_secs(1))
        .build()
        .expect("a client");
    let flow = ready(&sandbox).await.suspend();
    let flow = flow.resume(welcome(&sandbox), &client).expect("the flow");
    let silent = || StreamReader::new(stream::pending::<std::io::Result<&[u8]>>());
    for item in [
        PostboxItem::reader("a", silent()),
        PostboxItem::open_with("a", move || async move { Ok(silent()) }).length(1 << 20),
    ] {
        let error = flow.push(item).await.expect_err("nothing to send");
        assert!(matches!(error, Error::Item(_)), "{error}");
        assert!(
            error.report().to_string().contains("gave nothing"),
            "{error}"
        );
    }
    assert!(sandbox.inbox().is_empty());
}

#[tokio::test]
async fn an_item_that_changes_after_a_lost_answer_does_not_deny_the_delivery() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let opened = AtomicUsize::new(0);
    let item = PostboxItem::open_with("a", move || {
        let length = 10 - opened.fetch_add(1, Ordering::Relaxed);
        async move { Ok(std::io::Cursor::new(vec![1; length])) }
    });
    sandbox.inject(Endpoint::Push, Fault::LoseAnswer);
    let error = flow.push(item.length(10)).await.expect_err("it changed");
    assert!(error.may_have_taken_effect(), "{error}");
    assert_eq!(sandbox.inbox().len(), 1);
    let message = error.to_string();
    assert!(!message.contains("nothing was delivered"), "{message}");
    assert!(message.contains("the last attempt"), "{message}");
}

#[tokio::test]
async fn a_slow_platform_times_out() {
    let sandbox = sandbox().await;
    let moment = Duration::from_millis(200);
    let client = quick(&sandbox)
        .max_retries(0)
        .timeout(moment)
        .stall_timeout(moment)
        .build()
        .expect("a client");
    let flow = authorized_with(&sandbox, &client).await;
    for endpoint in [Endpoint::Token, Endpoint::Push] {
        sandbox.inject(endpoint, Fault::Delay(Duration::from_mins(1)));
    }
    let error = flow.refresh().await.expect_err("a timeout");
    assert!(error.report().to_string().contains("timed out"), "{error}");
    let error = flow
        .push(PostboxItem::bytes("a", "b"))
        .await
        .expect_err("a timeout");
    assert!(error.report().to_string().contains("timed out"), "{error}");
    assert!(error.may_have_taken_effect());
}

#[tokio::test]
async fn nothing_is_sent_to_a_platform_that_is_not_running() {
    let sandbox = sandbox().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let client = Client::builder()
        .base_url(format!("http://{address}/v1.5"))
        .max_retries(0)
        .build()
        .expect("a client");
    let error = welcome(&sandbox)
        .flow(&client)
        .establish_session()
        .await
        .expect_err("nobody there");
    assert!(
        matches!(error, Error::Request(RequestError::NotSent { .. })),
        "{error}"
    );
    assert!(!error.may_have_taken_effect());
}

#[tokio::test]
async fn answers_that_make_no_sense_are_errors() {
    let sandbox = sandbox().await;
    let flow = welcome(&sandbox).flow(&client(&sandbox));
    let endless = format!("\"{}\"", "x".repeat(2 << 20));
    for answer in ["", "null", "<html>", r#"{"sessionKey":1}"#, &endless] {
        sandbox.inject(Endpoint::Session, Fault::Answer(answer.into()));
        let error = flow.establish_session().await.expect_err("nonsense");
        assert!(
            matches!(error, Error::Request(RequestError::Malformed { .. })),
            "{error}"
        );
    }
    let ready = ready(&sandbox).await;
    for answer in ["{}", r#"{"status":"lost","expires":1}"#] {
        sandbox.inject(Endpoint::Push, Fault::Answer(answer.into()));
        let error = ready
            .push(PostboxItem::bytes("a", "b"))
            .await
            .expect_err("nonsense");
        assert!(error.may_have_taken_effect(), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_pushed_is_named() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let error = flow
        .push(PostboxItem::file("/no/such/file.pdf"))
        .await
        .expect_err("no file");
    assert!(matches!(error, Error::Item(ItemError::Unreadable { .. })));
    assert!(error.to_string().contains("/no/such/file.pdf"), "{error}");
    let error = flow
        .push(PostboxItem::file(std::env::temp_dir()).name("x"))
        .await
        .expect_err("a directory");
    assert!(
        matches!(error, Error::Item(ItemError::NotAFile(_))),
        "{error}"
    );
    assert!(sandbox.inbox().is_empty());
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_not_delivered() {
    let sandbox = sandbox().await;
    let flow = ready(&sandbox).await;
    let folder = tempfile::tempdir().expect("a folder");
    for grows in [true, false] {
        let path = folder.path().join(format!("{grows}.bin"));
        // Longer than the library reads ahead.
        std::fs::write(&path, vec![3; 20_000_000]).expect("a file");
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("a file");
        let item = PostboxItem::file(&path).on_progress(move |progress| {
            if progress.sent > 0 {
                file.set_len(if grows { 20_000_001 } else { 300_000 })
                    .expect("a length");
            }
        });
        let error = flow.push(item).await.expect_err("a file that changed");
        assert!(
            matches!(error, Error::Item(ItemError::Changed { .. })),
            "{error}"
        );
    }
    assert!(sandbox.inbox().is_empty());
}

/// The faults of a call's pushes, two of which follow each other.
const OF_PUSHES: [Fault; 11] = [
    Fault::LoseAnswer,
    Fault::CutAnswer,
    Fault::DisconnectAfter(0),
    Fault::Status(303),
    Fault::Status(408),
    Fault::Status(413),
    Fault::Status(500),
    Fault::Status(501),
    Fault::Status(503),
    Fault::Refuse(401, "InvalidSession"),
    Fault::RefuseUnread(401),
];

#[tokio::test]
async fn a_push_that_fails_after_any_two_faults_says_what_they_may_have_done() {
    let sandbox = sandbox().await;
    let flow = authorized(&sandbox).await;
    let endings = [Fault::Status(400), Fault::Answer("{}".into())];
    for first in &OF_PUSHES {
        for (second, last) in OF_PUSHES.iter().zip(endings.iter().cycle()) {
            let before = sandbox.inbox().len();
            for fault in [first, second, last] {
                sandbox.inject(Endpoint::Push, fault.clone());
            }
            let pushed = flow.push(PostboxItem::bytes("a", "b")).await;
            let arrived = sandbox.inbox().len() - before;
            let what = format!("{first:?}, {second:?}, {last:?}: {arrived} arrived: {pushed:?}");
            match pushed {
                Ok(_) => assert!(arrived > 0, "{what}"),
                Err(error) => assert!(arrived == 0 || error.may_have_taken_effect(), "{what}"),
            }
            // Each of these uses up at least one of the remaining faults.
            for _ in 0..2 {
                let _ = flow.push(PostboxItem::bytes("rest", "b")).await;
            }
        }
    }
    assert_eq!(sandbox.violations(), [""; 0], "nothing was sent twice");
}

#[tokio::test]
async fn keys_that_are_missing_for_a_moment_lose_no_tokens() {
    let sandbox = sandbox().await;
    for fault in [
        Fault::Status(503),
        Fault::LoseAnswer,
        Fault::CutAnswer,
        Fault::DisconnectAfter(0),
    ] {
        // Each client has to fetch the keys.
        let awaiting = awaiting_ongoing(&sandbox).await.suspend();
        let awaiting = awaiting.resume(receipts(&sandbox), &client(&sandbox));
        let awaiting = awaiting.expect("the flow");
        let callback = consent(&sandbox, awaiting.url()).await;
        sandbox.inject(Endpoint::Keys, fault.clone());
        let exchanged = awaiting.exchange_code(callback).await;
        let flow = exchanged.unwrap_or_else(|rejected| panic!("{fault:?}: {rejected}"));
        let flow = flow.suspend().resume(receipts(&sandbox), &client(&sandbox));
        sandbox.inject(Endpoint::Keys, fault.clone());
        let refreshed = flow.expect("the flow").refresh().await;
        assert!(refreshed.is_ok(), "{fault:?}: {refreshed:?}");
    }
}
