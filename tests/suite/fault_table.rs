//! Each row of `docs/faults.md`.

use std::io::{self, Cursor};
use std::time::Duration;

use digime::{Delivery, DeliveryStatus, Error, PostboxItem, RequestError};
use digime_sandbox::{Endpoint, Fault};
use tokio::io::AsyncReadExt;

use crate::set_up::{authorized_with, quick, receipts, sandbox};

const SIZE: usize = 1_500_000;

/// What befalls the pushes of a row.
enum Befalls {
    Each(Fault),
    /// Nobody listens where the client looks.
    Nobody,
    ExpiredTokens,
    EndedConsent,
    BrokenItem,
}

fn befalls(fault: &str) -> Befalls {
    let middle = SIZE as u64 / 2;
    Befalls::Each(match fault {
        "nobody listens" => return Befalls::Nobody,
        "the access token has expired" => return Befalls::ExpiredTokens,
        "consent has ended" => return Befalls::EndedConsent,
        "the item can't be read to its end" => return Befalls::BrokenItem,
        "killed before the first byte" => Fault::DisconnectAfter(0),
        "killed in the middle" => Fault::DisconnectAfter(middle),
        "killed after the last byte" => Fault::DisconnectAfter(u64::MAX),
        "killed before the answer" => Fault::LoseAnswer,
        "the answer is cut short" => Fault::CutAnswer,
        "the answer makes no sense" => Fault::Answer("{}".into()),
        "500" => Fault::Status(500),
        "503 with `Retry-After: 1`" => Fault::RetryAfter(503, 1),
        "503 with `Retry-After: 3600`" => Fault::RetryAfter(503, 3600),
        "413" => Fault::Status(413),
        "413 before the body is read" => Fault::RefuseUnread(413),
        "it reads slowly" => Fault::ReadSlowly(Duration::from_millis(10)),
        "it stops reading" => Fault::StopReading(middle),
        "it never answers" => Fault::Delay(Duration::from_hours(1)),
        unknown => panic!("the page has a fault that no test knows: {unknown}"),
    })
}

fn item(befalls: &Befalls) -> PostboxItem {
    let is_broken = matches!(befalls, Befalls::BrokenItem);
    PostboxItem::open_with("a.bin", move || async move {
        let breaks = tokio_util::io::StreamReader::new(futures_util::stream::once(async {
            Err::<Cursor<Vec<u8>>, _>(io::Error::other("the disk is gone"))
        }));
        let data = Cursor::new(vec![7; SIZE]);
        let reader: Box<dyn tokio::io::AsyncRead + Send + Unpin> = if is_broken {
            Box::new(data.chain(Box::pin(breaks)))
        } else {
            Box::new(data)
        };
        Ok(reader)
    })
    .length(if is_broken {
        SIZE as u64 + 1
    } else {
        SIZE as u64
    })
}

/// The row that is true of a fault.
async fn row(fault: &str, when: &str) -> String {
    let sandbox = sandbox().await;
    let mut client = quick(&sandbox).stall_timeout(Duration::from_millis(700));
    let befalls = befalls(fault);
    let authorized = authorized_with(&sandbox, &client.clone().build().expect("a client")).await;
    match &befalls {
        Befalls::Each(fault) => {
            let times = if when == "once" { 1 } else { 3 };
            for _ in 0..times {
                sandbox.inject(Endpoint::Push, fault.clone());
            }
        }
        Befalls::Nobody => client = client.base_url("http://127.0.0.1:1"),
        Befalls::ExpiredTokens => sandbox.expire_access_tokens(),
        Befalls::EndedConsent => sandbox.end_consent(),
        Befalls::BrokenItem => {}
    }
    let client = client.build().expect("a client");
    let flow = authorized
        .suspend()
        .resume(receipts(&sandbox), &client)
        .expect("the flow");
    let pushed = flow.push(item(&befalls)).await;
    let (seen, may) = outcome(&pushed);
    let sent = match (&befalls, sandbox.requests(Endpoint::Push)) {
        // The platform may see the connection end before it sees the request.
        (Befalls::BrokenItem, 0 | 1) => "0 or 1".to_owned(),
        (_, sent) => sent.to_string(),
    };
    let delivered = sandbox.inbox().len();
    format!("| {fault} | {when} | {seen} | {may} | {sent} | {delivered} |").replace("|  |", "| |")
}

fn outcome(pushed: &Result<Delivery, Error>) -> (String, &'static str) {
    let error = match pushed {
        Ok(delivery) => {
            assert_eq!(delivery.status(), DeliveryStatus::Delivered);
            return ("`Delivered`".into(), "");
        }
        Err(error) => error,
    };
    let seen = match error {
        Error::Request(RequestError::NotSent { .. }) => "`NotSent`".into(),
        Error::Request(RequestError::AnswerLost { .. }) => "`AnswerLost`".into(),
        Error::Request(RequestError::Malformed { .. }) => "`Malformed`".into(),
        Error::Request(RequestError::Refused { refusal, .. }) => {
            format!("`Refused` {}", refusal.status)
        }
        Error::ConsentEnded { .. } => "`ConsentEnded`".into(),
        Error::Item(_) => "`Item`".into(),
        other => panic!("{other}"),
    };
    (
        seen,
        if error.may_have_taken_effect() {
            "yes"
        } else {
            "no"
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_page_of_faults_is_true() {
    let page = include_str!("../../docs/faults.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(2)
        .collect();
    assert!(rows.len() > 20);
    let checks = rows.iter().map(|written| async move {
        let mut cells = written.split(" | ");
        let fault = cells.next().expect("a fault").trim_start_matches("| ");
        (row(fault, cells.next().expect("when")).await, *written)
    });
    for (is, written) in futures_util::future::join_all(checks).await {
        assert_eq!(is, written);
    }
}
