//! Stores for flows that wait between two requests, and for the tokens of users who have consented.
//!
//! A flow that waits for its callback is parked through [`ParkedFlows`], and the callback claims it, once. The tokens of
//! users who have consented are kept through [`SharedTokens`], which lets one machine at a time refresh them. Both work on
//! any store:
//!
//! | store | feature | for |
//! | --- | --- | --- |
//! | [`MemoryStore`] | | one process |
//! | `SqliteStore` | `sqlite` | the processes of one machine |
//! | `PostgresStore` | `postgres` | many machines |
//! | `RedisStore` | `redis` | many machines |
//! | [`SqlStore`] on your own pool | | whatever runs SQL: [`SqlDatabase`] |
//!
//! Each is a [`FlowStore`] and a [`TokenStore`]. What they hold is secret (verifiers, session keys, tokens), so only the
//! application may read it.
//!
//! ```
//! use digime::store::{MemoryStore, ParkedFlows, SharedTokens};
//! use digime::{Callback, Client, Error, OngoingContract};
//!
//! /// The first request: asks, and returns the link to redirect to.
//! async fn begin<C: OngoingContract>(
//!     contract: &C,
//!     client: &Client,
//!     flows: &ParkedFlows<MemoryStore>,
//!     customer: &str,
//! ) -> Result<String, Error> {
//!     let flow = contract.flow(client);
//!     let session = flow.establish_session().await?;
//!     let awaiting = flow.create_postbox(session).await?;
//!     let link = awaiting.url().to_string();
//!     flows.park(awaiting.suspend().with(customer.to_owned())).await?;
//!     Ok(link)
//! }
//!
//! /// The second request: takes the callback, and keeps the tokens under the customer.
//! async fn finish<C: OngoingContract + 'static>(
//!     contract: &C,
//!     client: &Client,
//!     tokens: &SharedTokens<MemoryStore>,
//!     query: &str,
//! ) -> Result<(), Error> {
//!     let callback = Callback::from_query(query)?;
//!     let user = |customer: &String| customer.clone();
//!     let (_authorized, _customer) = tokens.receive_callback(callback, contract, client, user).await?;
//!     Ok(())
//! }
//! ```
//!
//! An application that chooses its store at run time holds an `Arc<dyn Store>`, which is a store too:
//!
//! ```
//! use std::sync::Arc;
//! use digime::store::{MemoryStore, ParkedFlows, SharedTokens, Store};
//!
//! #[derive(Clone)]
//! struct AppState {
//!     flows: ParkedFlows<Arc<dyn Store>>,
//!     tokens: SharedTokens<Arc<dyn Store>>,
//! }
//!
//! let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! let state = AppState {
//!     flows: ParkedFlows::new(store.clone()),
//!     tokens: SharedTokens::new(store),
//! };
//! ```

mod bounded;
mod callbacks;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connection;
pub(crate) mod error;
mod flow_store;
mod keys;
mod memory;
mod parked_flows;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod place;
#[cfg(feature = "postgres")]
mod postgres;
mod ready_postboxes;
#[cfg(feature = "redis")]
mod redis_store;
mod refresher;
mod repeated;
mod sealed;
mod shared_tokens;
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod taken;
mod token_store;
mod unsaved;
mod user_record;

/// Lets an `async fn` implement a method of [`FlowStore`] or [`TokenStore`], whose futures are boxed.
pub use async_trait::async_trait;

pub use connection::Connection;
pub(crate) use error::StoreError;
pub use flow_store::{FlowRecord, FlowStore, Found};
pub use memory::MemoryStore;
pub use parked_flows::{Claimed, ParkedFlows};
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use ready_postboxes::ReadyPostboxes;
#[cfg(feature = "redis")]
pub use redis_store::RedisStore;
pub use sealed::SealedStore;
pub use shared_tokens::SharedTokens;
pub use sql::{SqlArgument, SqlDatabase, SqlDialect, SqlError, SqlRow, SqlStore};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use token_store::{TokenRecord, TokenStore};

// A re-export of the whole crates would bring other types of names such as `String` into view, and the compiler would print
// such names with their paths.
/// What [`RedisStore`] takes from the crate `redis`.
#[cfg(feature = "redis")]
pub mod redis {
    pub use ::redis::aio::ConnectionManager;
}

/// What [`SqlStore`] takes from the crate `sqlx`.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sqlx {
    #[cfg(feature = "postgres")]
    pub use ::sqlx::PgPool;
    #[cfg(feature = "sqlite")]
    pub use ::sqlx::SqlitePool;
}

/// A store of flows and of tokens, as each built-in store is. Every type that is both implements it.
///
/// `Arc<dyn Store>` is a store that is chosen at run time.
pub trait Store: FlowStore + TokenStore {}

impl<S: FlowStore + TokenStore + ?Sized> Store for S {}
