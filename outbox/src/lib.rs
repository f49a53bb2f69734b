//! An outbox for [`digime`]: items wait in your database until they are in the person's digi.me.
//!
//! An application books an order and wants the receipt in the customer's digi.me. The platform may be away, the customer may
//! not have connected digi.me yet, or the process may be killed. So the receipt is written into the outbox, in the
//! transaction that books the order. A background job pushes what waits there, on any number of machines.
//!
//! ```
//! use std::future::Future;
//! use digime::OngoingContract;
//! use digime::store::{SharedTokens, TokenStore};
//! use digime_outbox::{ConnectedUsers, Enqueued, Entry, Error, Item, Outbox};
//!
//! /// The request handler. `outbox.enqueue_in(&mut *tx, &entry)` does the same in a transaction of the application.
//! async fn book(outbox: &Outbox, pdf: Vec<u8>) -> Result<(), Error> {
//!     let item = Item::bytes("receipt-1001.pdf", pdf).tag("receipt");
//!     let entry = Entry::new("customer-42", "corner-shop-receipts", item).reference("receipt-1001");
//!     match outbox.enqueue(&entry).await? {
//!         Enqueued::Added => println!("your receipt is on its way"),
//!         Enqueued::AlreadyThere => println!("the same receipt was added before"),
//!     }
//!     Ok(())
//! }
//!
//! /// The background job.
//! async fn deliver<C: OngoingContract + Send + Sync + 'static>(
//!     outbox: &Outbox,
//!     tokens: SharedTokens<impl TokenStore>,
//!     client: digime::Client,
//!     contracts: Vec<C>,
//!     shutdown: impl Future<Output = ()>,
//! ) {
//!     let users = ConnectedUsers::new(tokens, client, contracts);
//!     outbox.worker(users).concurrency(8).run_until(shutdown).await;
//! }
//! ```
//!
//! [`Outbox::migrate`] makes the tables. Call it when the program is deployed, and not at each start if the program's user
//! may not make tables.
//!
//! # What is promised
//!
//! **An entry is delivered at least once** or given up, however many workers are killed, if the database keeps it. It can arrive
//! twice: a worker that dies after the platform has taken an item, and before the database knows it, leaves an entry that is
//! pushed again. Each delivery carries the entry's [`reference`](Entry::reference), so that duplicates can be recognised. While a
//! worker pushes an entry it has a lease on it, which it extends, so a slow push is not sent twice.
//!
//! The entry that has been due for longest is pushed first. The order of one user's entries is not promised. A user with thousands
//! of entries does not keep the others waiting, since only [a few](Worker::per_user) (4 by default) of one user's entries are
//! pushed at a time. While the platform holds a contract back, the entries of other contracts are pushed. Each time that a worker
//! looks for entries, the database passes over those that have to wait for these reasons, about a million in a second.
//!
//! # The states of an entry
//!
//! | state | until |
//! | --- | --- |
//! | [`Waiting`](State::Waiting) | it is due |
//! | [`Sending`](State::Sending) | the worker that pushes it is done, or its lease has ended and another worker takes the entry |
//! | [`AwaitingConsent`](State::AwaitingConsent) | the user has connected and the application has called [`Outbox::connected`] |
//! | [`Delivered`](State::Delivered) | the [retention](Outbox::retention) (30 days by default) is over, and it is removed. Its content is removed at once |
//! | [`GivenUp`](State::GivenUp) | an operator calls [`Outbox::retry`] or [`Outbox::discard`] |
//!
//! # What happens after a failure
//!
//! | the push failed because | the entry |
//! | --- | --- |
//! | the user is not connected, or has to consent again | waits for consent |
//! | the platform, the signer or the store was not reached or too busy ([`is_transient`](digime::Error::is_transient)) | is due again after a pause that doubles, from 5 seconds to 1 hour, or after [`retry_after`](digime::Error::retry_after) if that is longer. The other entries of the contract are held back for the time that the platform asked for |
//! | somebody has to change the configuration ([`is_config`](digime::Error::is_config)) | the same, with pauses from 1 minute. A warning names the cause |
//! | a refresh token is in doubt ([`RefreshInDoubt`](digime::Error::RefreshInDoubt)), or the session ended twice | the same as after a transient failure |
//! | anything else: the item was refused | is given up at once |
//! | any of these, and the entry has been tried for 7 days ([`Worker::max_age`]) | is given up |
//! | 10 workers in a row took the entry and recorded nothing | is given up |
//!
//! The 7 days begin with the first attempt. The time in which the entry waits for consent does not count.
//!
//! A worker records nothing if its process is killed or aborted, or if it can't reach the database before the entry's lease has
//! ended. The entry is then taken again. If an entry itself is what ends the process, such as by its size, this would go on
//! for ever. So the outbox counts how often in a row it happens. Any outcome, [`Outbox::connected`] and [`Outbox::retry`]
//! begin the count again. From the third time on, only one such entry is pushed at a time, so that entries which were
//! pushed beside the one that ends the process are delivered and not given up with it. Restarts that kill workers
//! without grace do not add up to ten, unless an entry is being pushed at each of them, with a lease between two of them.
//!
//! # What is stored
//!
//! One row for each entry in the table `digime_outbox`: the user, the contract's id, the reference, the file name, the media
//! type, the account, the tags, the item's bytes (16 MiB or less, [`Outbox::max_content`]), the state, and the last error. This is
//! personal data, and it is not encrypted. The bytes are removed in the statement that marks the delivery. In a SQLite file
//! they stay readable in free pages unless `PRAGMA secure_delete` is on, and PostgreSQL keeps them until `VACUUM`. A row without
//! its content takes some 300 bytes. [`Outbox::forget`] removes all entries of a user.
//!
//! # Logs and metrics
//!
//! All events have the target `digime_outbox`, and the fields `id`, `contract`, `reference` and `attempt`. They have no content
//! and no secrets, and do not name the user.
//!
//! | level | event |
//! | --- | --- |
//! | `DEBUG` | delivered; waits for consent; tried again |
//! | `WARN` | the configuration is wrong (once a minute for each contract); the database does not answer; a worker has stopped before all of its pushes were done |
//! | `ERROR` | given up |
//!
//! With the feature `metrics`, the crate [`metrics`](https://docs.rs/metrics) gets `digime_outbox_deliveries_total{outcome}`,
//! `digime_outbox_age_seconds` (a histogram of the time from `enqueue` to the delivery), and `digime_outbox_entries{state}`, which
//! [`Outbox::counts`] sets and a worker updates once a minute.
//!
//! # Crate features
//!
//! No feature is on by default. Without `sqlite` or `postgres` there is no way to make an outbox.
//!
//! - `sqlite`: [`Outbox::sqlite`], for the processes of one machine. It compiles SQLite.
//! - `postgres`: [`Outbox::postgres`], for many machines.
//! - `metrics`: counters, gauges and a histogram, by the crate `metrics`.
//!
//! The pools and connections are those of `sqlx` 0.9.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]
// Without a database there is no outbox, and nothing uses the rest.
#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(unused, clippy::unused_async)
)]

mod admin;
mod attempt;
mod connected_users;
mod database;
mod deliver;
mod entry;
mod error;
mod outbox;
mod queue;
mod rules;
mod run;
mod statements;
mod telemetry;
mod worker;

pub use entry::{Entry, Item, Recipient};
pub use outbox::{Enqueued, Outbox};

pub use connected_users::ConnectedUsers;
pub use deliver::{Deliver, DeliverError, Or};
pub use worker::Worker;

pub use admin::{Counts, Filter, Listed, State};
pub use database::Connection;
pub use error::Error;

/// Compiles the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
