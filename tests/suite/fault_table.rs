//! Checks each row of `docs/faults.md`.

use std::io::{self, Cursor};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use digime::error::RequestError;
use digime::{Delivery, DeliveryStatus, Error, PostboxItem};
use digime_sandbox::{Endpoint, Fault, Sandbox};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::set_up::{quick, sandbox};
use crate::signers::{Fault as SignerFault, Hsm, authorized, receipts};

const SIZE: usize = 1_500_000;

/// How many times the client of a row sends a push.
const ATTEMPTS: usize = 3;

/// How the platform answers a push whose access token has expired.
const PENDING: &str = r#"{"status":"pending","expires":60}"#;

/// A fault of a row.
enum RowFault {
    Push(Fault),
    /// Nothing listens at the base URL.
    Nobody,
    ExpiredTokens,
    EndedConsent,
    /// The answer says that the token has expired, and the refresh is refused.
    EndsConsent,
    Refresh(Fault),
    Signer(SignerFault),
    /// The item's reader fails before its end.
    BrokenItem,
    /// The item's reader hangs in the middle.
    SilentItem,
    /// The item can be opened once.
    GoneItem,
}

fn row_fault(fault: &str) -> RowFault {
    let middle = SIZE as u64 / 2;
    RowFault::Push(match fault {
        "nobody listens" => return RowFault::Nobody,
        "the access token has expired" => return RowFault::ExpiredTokens,
        "consent has ended" => return RowFault::EndedConsent,
        "consent ends" => return RowFault::EndsConsent,
        "the refresh is refused" => return RowFault::Refresh(Fault::Refuse(401, "InvalidJWT")),
        "nobody answers the refresh" => return RowFault::Refresh(Fault::DisconnectAfter(0)),
        "the signer is not available" => return RowFault::Signer(SignerFault::Busy),
        "the signer refuses" => return RowFault::Signer(SignerFault::Denied),
        "the signer never answers" => return RowFault::Signer(SignerFault::Hangs),
        "the signature is empty" => return RowFault::Signer(SignerFault::Returns(0)),
        "the item can't be read to its end" => return RowFault::BrokenItem,
        "the item's reader hangs" => return RowFault::SilentItem,
        "the item is gone" => return RowFault::GoneItem,
        "killed before the first byte" => Fault::DisconnectAfter(0),
        "killed in the middle" => Fault::DisconnectAfter(middle),
        "killed after the last byte" => Fault::DisconnectAfter(u64::MAX),
        "killed before the answer" => Fault::LoseAnswer,
        "the answer is cut short" => Fault::CutAnswer,
        "it waits in the postbox" => Fault::Answer(PENDING.into()),
        "the answer makes no sense" => Fault::Answer("{}".into()),
        "303" => Fault::Status(303),
        "401" => Fault::Status(401),
        "500" => Fault::Status(500),
        "503" => Fault::Status(503),
        "503 with `Retry-After: 1`" => Fault::RetryAfter(503, 1),
        "503 with `Retry-After: 3600`" => Fault::RetryAfter(503, 3600),
        "413" => Fault::Status(413),
        "413 before the body is read" => Fault::RefuseUnread(413),
        "the session is over" => Fault::Refuse(401, "InvalidSession"),
        "it reads slowly" => Fault::ReadSlowly(Duration::from_millis(10)),
        "it stops reading" => Fault::StopReading(middle),
        "it never answers" => Fault::Delay(Duration::from_secs(60 * 60)),
        unknown => panic!("the page has a fault that no test knows: {unknown}"),
    })
}

fn item(all: &[RowFault]) -> PostboxItem {
    let is_broken = all.iter().any(|one| matches!(one, RowFault::BrokenItem));
    let is_silent = all.iter().any(|one| matches!(one, RowFault::SilentItem));
    let is_gone = all.iter().any(|one| matches!(one, RowFault::GoneItem));
    let opened = AtomicUsize::new(0);
    let open = move || {
        let is_first = opened.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if is_gone && !is_first {
                return Err(io::Error::from(io::ErrorKind::NotFound));
            }
            Ok::<Box<dyn AsyncRead + Send + Unpin>, _>(if is_silent {
                Box::new(Cursor::new(vec![7; SIZE / 2]).chain(Silent))
            } else {
                reader(is_broken)
            })
        }
    };
    let length = if is_broken { SIZE + 1 } else { SIZE };
    PostboxItem::open_with("a.bin", open).length(length as u64)
}

/// A reader that never returns a byte.
struct Silent;

impl AsyncRead for Silent {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

fn reader(is_broken: bool) -> Box<dyn AsyncRead + Send + Unpin> {
    let data = Cursor::new(vec![7; SIZE]);
    if !is_broken {
        return Box::new(data);
    }
    let breaks = tokio_util::io::StreamReader::new(futures_util::stream::once(async {
        Err::<Cursor<Vec<u8>>, _>(io::Error::other("the disk is gone"))
    }));
    Box::new(data.chain(Box::pin(breaks)))
}

/// Injects a row's fault into the sandbox or the signer.
fn inject(sandbox: &Sandbox, signer: &Hsm, one: &RowFault) {
    match one {
        RowFault::Push(fault) => {
            signer.inject([SignerFault::None]);
            sandbox.inject(Endpoint::Push, fault.clone());
        }
        RowFault::Signer(fault) => signer.inject([fault.clone()]),
        RowFault::ExpiredTokens => sandbox.expire_access_tokens(),
        RowFault::EndedConsent => sandbox.end_consent(),
        RowFault::EndsConsent => {
            sandbox.inject(Endpoint::Push, Fault::Answer(PENDING.into()));
            sandbox.inject(Endpoint::Token, Fault::Refuse(401, "InvalidToken"));
        }
        RowFault::Refresh(fault) => sandbox.inject(Endpoint::Token, fault.clone()),
        RowFault::Nobody | RowFault::BrokenItem | RowFault::SilentItem | RowFault::GoneItem => {}
    }
}

/// Measures the row of one fault, or of several faults in a row.
async fn row(faults: &str, when: &str) -> String {
    let sandbox = sandbox().await;
    let all: Vec<RowFault> = faults.split(", then ").map(row_fault).collect();
    let mut client = quick(&sandbox);
    let never_ends = |one: &RowFault| {
        matches!(
            one,
            RowFault::SilentItem | RowFault::Push(Fault::StopReading(_) | Fault::Delay(_))
        )
    };
    if all.iter().any(never_ends) {
        // Only if nothing else can end an attempt, so that no other row depends on how fast this machine is.
        client = client.stall_timeout(Duration::from_secs(3));
    }
    if all
        .iter()
        .any(|one| matches!(one, RowFault::Signer(SignerFault::Hangs)))
    {
        client = client.timeout(Duration::from_secs(3));
    }
    let contract = receipts(&sandbox);
    let built = client.clone().build().expect("a client");
    let authorized = authorized(&contract, &sandbox, &built).await;
    let times = if when == "always" { ATTEMPTS } else { 1 };
    for one in std::iter::repeat_n(&all, times).flatten() {
        inject(&sandbox, &contract.private_key, one);
    }
    if matches!(all[..], [RowFault::Nobody]) {
        client = client.base_url("http://127.0.0.1:1");
    }
    let client = client.build().expect("a client");
    let flow = authorized
        .suspend()
        .resume(&contract, &client)
        .expect("the flow");
    let pushed = flow.push(item(&all)).await;
    let (seen, may) = outcome(&pushed);
    let sent = match (&all[..], sandbox.requests(Endpoint::Push)) {
        // The platform may see the connection end before it sees the request.
        ([RowFault::BrokenItem], 0 | 1) => "0 or 1".to_owned(),
        (_, sent) => sent.to_string(),
    };
    let delivered = sandbox.inbox().len();
    format!("| {faults} | {when} | {seen} | {may} | {sent} | {delivered} |").replace("|  |", "| |")
}

fn outcome(pushed: &Result<Delivery, Error>) -> (String, &'static str) {
    let error = match pushed {
        Ok(delivery) => {
            assert_eq!(delivery.status(), DeliveryStatus::Delivered);
            return ("`Delivered`".into(), "");
        }
        Err(error) => error,
    };
    let seen = match error.reason() {
        Error::Request(RequestError::Unsigned { .. }) => "`Unsigned`".into(),
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
async fn every_row_of_the_table_of_faults_is_true() {
    let page = include_str!("../../docs/faults.md");
    let (_, table) = page.split_once("| fault |").expect("the table");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let rows: Vec<&str> = rows.collect();
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
