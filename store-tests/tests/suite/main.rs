//! The stores and the outbox, with real databases and real processes.
//!
//! SQLite is built in. PostgreSQL and Redis are used where `DIGIME_TEST_POSTGRES` and `DIGIME_TEST_REDIS` say where they
//! are; `store-tests/with-servers cargo test --workspace` starts both.

mod conformance;
mod drivers;
mod example;
mod faults;
mod files;
mod outbox;
mod processes;
mod proxy;
mod redis_servers;
mod rights;
mod set_up;
mod tokens;
mod upgrade;
mod wrong_input;
