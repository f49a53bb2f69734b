//! A flow that outlives its process: one process asks for a postbox and ends, another takes the callback and pushes.
//!
//! ```sh
//! cargo run --features sqlite --example two_requests
//! ```
//!
//! It starts the platform, and then itself twice, for two requests to a web application that may reach different processes.
//! They share only a SQLite file.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};

use digime::store::{ParkedFlows, SharedTokens, SqliteStore};
use digime::{
    ApplicationId, Callback, Client, ContractId, PostboxItem, PrivateKey, RedirectUri,
    digime_contract,
};
use digime_sandbox::Sandbox;
use serde_json::json;

#[digime_contract(ongoing)]
#[derive(serde::Deserialize)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

/// The first request: asks for a postbox, parks the flow, and prints where to redirect the user to.
async fn begin(
    receipts: &Receipts,
    client: &Client,
    flows: &ParkedFlows<SqliteStore>,
) -> Result<(), Box<dyn Error>> {
    let flow = receipts.flow(client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    println!("{}", awaiting.url());
    let customer = "customer-42".to_owned();
    flows.park(awaiting.suspend().with(customer)).await?;
    Ok(())
}

/// The second request, called back: takes the callback, keeps the customer's tokens, and pushes.
async fn finish(
    receipts: &Receipts,
    client: &Client,
    store: &SqliteStore,
    called: &str,
) -> Result<(), Box<dyn Error>> {
    let callback = Callback::from_url(called)?;
    let tokens = SharedTokens::new(store.clone());
    let user = |customer: &String| customer.clone();
    let (authorized, customer) = tokens
        .receive_callback(callback, receipts, client, user)
        .await?;
    let receipt = PostboxItem::bytes("receipt.txt", "1 coffee").account(&customer);
    let delivery = authorized.push(receipt).await?;
    println!("{:?} for {customer}", delivery.status());
    tokens.flush().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [request, store, base_url, called @ ..] = arguments.as_slice() else {
        return both().await;
    };
    let store = SqliteStore::open(store).await?;
    let client = Client::builder().base_url(base_url).build()?;
    let receipts: Receipts = serde_json::from_str(&std::env::var("CONTRACT")?)?;
    match (request.as_str(), called) {
        ("begin", []) => begin(&receipts, &client, &ParkedFlows::new(store)).await,
        ("finish", [called]) => finish(&receipts, &client, &store, called).await,
        _ => Err("usage: two_requests".into()),
    }
}

/// Plays the platform, the user's client and the web server: each request is a process of its own.
async fn both() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::start().await?;
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("flows.db");
    let link = request(&sandbox, &store, "begin", None)?;
    println!("the first process asked, and has ended");
    let called = sandbox.consent(&link).await?;
    println!("the user consented: {} is called", called.path());
    let delivered = request(&sandbox, &store, "finish", Some(called.as_str()))?;
    println!("the second process pushed: {delivered}");
    println!("received: {}", sandbox.inbox()[0].name);
    Ok(())
}

fn request(
    sandbox: &Sandbox,
    store: &Path,
    name: &str,
    called: Option<&str>,
) -> Result<String, Box<dyn Error>> {
    let mut process = Command::new(std::env::current_exe()?);
    process.arg(name).arg(store).arg(sandbox.base_url());
    // In production the contract's key comes from a vault. Here it is the sandbox's.
    process.env("CONTRACT", json!(sandbox.contracts().ongoing).to_string());
    let output = process.args(called).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the request `{name}` failed").into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
