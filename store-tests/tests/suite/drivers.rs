//! SQL stores on other drivers than `sqlx`: what an application writes for one, and that it conforms.

use std::sync::{Arc, Mutex};

use digime::async_trait;
use digime::store::{
    SqlArgument, SqlDatabase, SqlDialect, SqlError, SqlRow, SqlStore, conformance,
};
use futures_util::{StreamExt, stream};
use rusqlite::types::Value;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, NoTls};

use crate::set_up::postgres;

struct Rusqlite(Arc<Mutex<rusqlite::Connection>>);

#[async_trait]
impl SqlDatabase for Rusqlite {
    const DIALECT: SqlDialect = SqlDialect::Sqlite;

    async fn execute(
        &self,
        sql: &'static str,
        arguments: &[SqlArgument<'_>],
    ) -> Result<Vec<SqlRow>, SqlError> {
        let connection = self.0.clone();
        let arguments: Vec<Value> = arguments
            .iter()
            .map(|argument| match *argument {
                SqlArgument::Text(text) => text.to_owned().into(),
                SqlArgument::Number(number) => number.into(),
            })
            .collect();
        let executed = tokio::task::spawn_blocking(move || {
            let connection = connection.lock().expect("no panic");
            let mut statement = connection.prepare_cached(sql)?;
            let columns = statement.column_count();
            let arguments = rusqlite::params_from_iter(arguments);
            let rows = statement.query_map(arguments, |row| {
                (0..columns).map(|column| row.get(column)).collect()
            })?;
            rows.collect::<rusqlite::Result<_>>()
        });
        let rows = executed.await.map_err(SqlError::statement)?;
        rows.map_err(SqlError::statement)
    }
}

struct TokioPostgres(tokio_postgres::Client);

#[async_trait]
impl SqlDatabase for TokioPostgres {
    const DIALECT: SqlDialect = SqlDialect::Postgres;

    async fn execute(
        &self,
        sql: &'static str,
        arguments: &[SqlArgument<'_>],
    ) -> Result<Vec<SqlRow>, SqlError> {
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = arguments
            .iter()
            .map(|argument| match argument {
                SqlArgument::Text(text) => (text as &(dyn ToSql + Sync), Type::TEXT),
                SqlArgument::Number(number) => (number as &(dyn ToSql + Sync), Type::INT8),
            })
            .collect();
        let rows = self.0.query_typed(sql, &typed).await.map_err(|error| {
            if self.0.is_closed() {
                SqlError::connection(error)
            } else {
                SqlError::statement(error)
            }
        })?;
        let text_of = |row: &tokio_postgres::Row| {
            let columns = 0..row.len();
            columns.map(|column| row.try_get(column)).collect()
        };
        let rows: Result<_, _> = rows.iter().map(text_of).collect();
        rows.map_err(SqlError::statement)
    }
}

async fn conforms<D: SqlDatabase>(database: D) {
    let store = SqlStore::new(database);
    for _ in 0..2 {
        store.migrate().await.expect("it can be run again");
    }
    store.check().await.expect("the tables are there");
    store.sweep().await.expect("it works");
    conformance::flow_store(&store).await;
    conformance::token_store(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rusqlite_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = rusqlite::Connection::open(folder.path().join("store.db"));
    let connection = Arc::new(Mutex::new(connection.expect("a file")));
    conforms(Rusqlite(connection)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_conforms_and_the_server_has_nothing_to_notice() {
    let Some(shared) = postgres() else {
        return;
    };
    let connected = tokio_postgres::connect(&shared.url, NoTls).await;
    let (client, mut connection) = connected.expect("PostgreSQL");
    let notices = Arc::new(Mutex::new(Vec::new()));
    let noted = notices.clone();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notice(notice) = message {
                noted.lock().expect("no panic").push(notice.to_string());
            }
        }
    });
    let prepared = client.batch_execute(
        "SET client_min_messages = error; DROP SCHEMA IF EXISTS driver CASCADE; CREATE SCHEMA driver;
         SET search_path = driver; SET client_min_messages = notice;",
    );
    prepared.await.expect("a schema");
    conforms(TokioPostgres(client)).await;
    assert_eq!(*notices.lock().expect("no panic"), Vec::<String>::new());
}
