//! What the tests, the benchmarks and the worker process share: contracts, flows, stores and outboxes by URL.

#![forbid(unsafe_code)]

use std::time::Duration;

use digime::error::StoreError;
use digime::store::{FlowStore, ParkedFlows};
use digime::{
    ApplicationId, AwaitingCallback, Callback, Client, ContractId, Flow, NoVerifier, PrivateKey,
    RedirectUri, Suspended, digime_contract,
};
use digime_outbox::Outbox;
use digime_sandbox::Sandbox;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

#[digime_contract(ongoing)]
#[derive(Clone, Deserialize)]
pub struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[digime_contract(once)]
#[derive(Clone, Deserialize)]
pub struct Welcome {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

/// The platform, as its address and contracts for another process.
#[derive(Clone, Serialize, Deserialize)]
pub struct Place {
    base_url: String,
    ongoing: Value,
    once: Value,
}

impl Place {
    #[must_use]
    pub fn of(sandbox: &Sandbox) -> Self {
        Self {
            base_url: sandbox.base_url().to_owned(),
            ongoing: json!(sandbox.contracts().ongoing),
            once: json!(sandbox.contracts().once),
        }
    }

    /// # Panics
    /// When the place is none.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::builder()
            .base_url(&self.base_url)
            .max_retries(0)
            .build()
            .expect("a client")
    }

    /// # Panics
    /// When the place has no such contract.
    #[must_use]
    pub fn receipts(&self) -> Receipts {
        serde_json::from_value(self.ongoing.clone()).expect("a contract")
    }

    /// # Panics
    /// When the place has no such contract.
    #[must_use]
    pub fn welcome(&self) -> Welcome {
        serde_json::from_value(self.once.clone()).expect("a contract")
    }

    /// A flow that waits under a state, as if it had asked for a postbox; making thousands would measure the platform.
    ///
    /// # Panics
    /// When the format has changed.
    pub fn waiting(
        &self,
        state: &str,
        number: usize,
    ) -> Suspended<Welcome, AwaitingCallback<NoVerifier>, usize> {
        let written = json!({
            "fmt": 1,
            "state": "AwaitingCallback<NoVerifier>",
            "contract": {"application_id": self.once["application_id"], "contract_id": self.once["contract_id"]},
            "state_data": {
                "state": state,
                "session": {
                    "sessionKey": "s".repeat(32),
                    "sessionExchangeToken": "t".repeat(64),
                    "expiry": 4_000_000_000_000_u64,
                },
                "verifier": null,
            },
            "user_data": number,
        });
        serde_json::from_value(written).expect("a suspended flow")
    }
}

/// Delivers callbacks, each the state with a number, and gives the numbers of the flows that it got.
///
/// # Panics
/// When a flow is another one than was parked, or a claim fails in another way than by finding nothing.
pub async fn claim(
    flows: &ParkedFlows<impl FlowStore>,
    place: &Place,
    states: &[String],
    deliveries: Vec<usize>,
) -> Vec<usize> {
    let (welcome, client) = (place.welcome(), place.client());
    let mut claimed = Vec::new();
    for number in deliveries {
        let state = &states[number];
        let callback = Callback::from_query(&format!("result=SUCCESS&state={state}"));
        let callback = callback.expect("a callback");
        let flow: Result<(Flow<Welcome, AwaitingCallback<NoVerifier>>, usize), _> =
            flows.claim(&callback, &welcome, &client).await;
        match flow {
            Ok((flow, attached)) => {
                assert_eq!((flow.state(), attached), (state.as_str(), number));
                claimed.push(number);
            }
            Err(digime::Error::Store(StoreError::NothingParked)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    claimed
}

/// The outbox in the database at a URL: `sqlite:PATH` or `postgres://…`.
///
/// # Panics
/// When there is no such database.
pub async fn outbox(url: &str) -> Outbox {
    let outbox = if let Some(path) = url.strip_prefix("sqlite:") {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_secs(30));
        Outbox::sqlite(SqlitePool::connect_lazy_with(options))
    } else {
        // Many tests share one server.
        let pool = PgPoolOptions::new().max_connections(4);
        Outbox::postgres(pool.connect_lazy(url).expect("a URL"))
    };
    outbox.migrate().await.expect("it makes its tables");
    outbox
}

/// Runs an expression with the store at a URL: `sqlite:PATH`, `postgres://…`, `redis://…`, or `rediss://…`.
#[macro_export]
macro_rules! with_store {
    ($url:expr, $store:ident => $body:expr) => {{
        let url: &str = $url;
        if let Some(path) = url.strip_prefix("sqlite:") {
            let $store = ::digime::store::SqliteStore::open(path)
                .await
                .expect("a file");
            $body
        } else if url.starts_with("redis") {
            let $store = ::digime::store::RedisStore::connect(url)
                .await
                .expect("Redis");
            $body
        } else {
            let $store = ::digime::store::PostgresStore::connect_and_migrate(url)
                .await
                .expect("PostgreSQL");
            $body
        }
    }};
}
