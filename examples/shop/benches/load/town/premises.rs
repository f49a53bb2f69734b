//! What the shop needs before it starts: a platform, a database and settings.

use std::path::Path;

use digime_sandbox::{Builder, NewContract, Sandbox};
use sqlx::{Connection, PgConnection};
use url::Url;

/// The shops, and what people buy there.
pub const SHOPS: [(&str, &str); 2] = [("corner-shop", "coffee"), ("book-barn", "novel")];

pub async fn sandbox() -> Sandbox {
    let contracts = SHOPS.map(|(slug, _)| {
        NewContract::ongoing(contract_id(slug))
            .application_id(slug)
            .redirect_uri("https://shop.example/digime/callback")
    });
    let builder = contracts
        .into_iter()
        .fold(Sandbox::builder(), Builder::contract);
    builder.start().await.expect("a sandbox")
}

/// The settings of both machines, as an operator writes them.
pub fn settings(sandbox: &Sandbox, folder: &Path, database: &str) -> String {
    let tenants = SHOPS.map(|(slug, product)| {
        let contract = sandbox.contract(&contract_id(slug)).expect("it was added");
        let key = format!("{slug}.pem");
        std::fs::write(folder.join(&key), &contract.private_key).expect("a file");
        format!(
            r#"
[[tenants]]
slug = "{slug}"
name = "{slug}"
application_id = "{}"
contract_id = "{}"
private_key_file = "{key}"
products = [{{ id = "{product}", name = "{product}", price_in_cents = 850 }}]
"#,
            contract.application_id, contract.contract_id
        )
    });
    format!(
        r#"
listen = "127.0.0.1:0"
public_url = "https://shop.example"
database_url = "{database}"
admin_token = "only-for-a-benchmark"
base_url = "{}"

[sandbox]
phone_url = "{}"
inbox_url = "{}"
{}"#,
        sandbox.base_url(),
        sandbox.phone_url(),
        sandbox.inbox_page_url(),
        tenants.concat()
    )
}

fn contract_id(slug: &str) -> String {
    format!("{slug}-receipts")
}

/// Makes a database, and returns its URL.
pub async fn create_database(server: &str) -> String {
    let mut connection = PgConnection::connect(server).await.expect("a server");
    let name = format!("load_{}", std::process::id());
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    let created = sqlx::query(create).execute(&mut connection).await;
    created.expect("a database");
    let mut url = Url::parse(server).expect("a URL");
    url.set_path(&name);
    url.into()
}
