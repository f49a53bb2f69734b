//! Pushes files: into an embedded sandbox, or into any platform.
//!
//! `cargo run --example push -- FILE…` runs the whole flow and shows what the user's client decrypts.
//! `cargo run --example push -- --base-url URL --config contract.toml --kind once|ongoing FILE…` prints the link to
//! open, reads the URL that was called back from standard input, and pushes.

mod config;
mod items;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use digime::Client;
use digime_sandbox::Sandbox;
use serde_json::json;

use config::{Config, Lasting, OneOff};
use items::push_all;
use user::User;

/// Pushes files into a person's digi.me.
#[derive(Parser)]
struct Arguments {
    /// Which kind of contract to push under.
    #[arg(long, value_enum, default_value_t = Kind::Ongoing)]
    kind: Kind,
    /// The base URL of the platform, instead of the one in this process.
    #[arg(long, requires = "config", value_name = "URL")]
    base_url: Option<String>,
    /// The contract: `application_id`, `contract_id`, `private_key` or `private_key_file`, `redirect_uri`, and
    /// optionally `account`, as TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The files to push.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Once,
    Ongoing,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let files = &arguments.files;
    items::check(files)?;
    let Some(path) = &arguments.config else {
        return push_to_sandbox(arguments.kind, files).await;
    };
    let config = Config::read(path)?;
    let mut client = Client::builder();
    if let Some(url) = &arguments.base_url {
        client = client.base_url(url);
    }
    let client = client.build()?;
    push(arguments.kind, config, &client, &User::Person, files).await
}

async fn push_to_sandbox(kind: Kind, files: &[PathBuf]) -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let contract = match kind {
        Kind::Once => &sandbox.contracts().once,
        Kind::Ongoing => &sandbox.contracts().ongoing,
    };
    let config = serde_json::from_value(json!({
        "application_id": contract.application_id,
        "contract_id": contract.contract_id,
        "private_key": contract.private_key,
        "redirect_uri": contract.redirect_uri,
    }))?;
    let client = Client::builder().base_url(sandbox.base_url()).build()?;
    push(
        kind,
        config,
        &client,
        &User::Simulated(Box::new(sandbox)),
        files,
    )
    .await
}

async fn push(
    kind: Kind,
    config: Config,
    client: &Client,
    user: &User,
    files: &[PathBuf],
) -> Result<()> {
    let account = config.account.clone();
    match kind {
        Kind::Once => {
            let flow = OneOff::try_from(config)?.flow(client);
            user.see("Unstarted");
            let session = flow.establish_session().await?;
            let awaiting = flow.create_postbox(session).await?;
            user.see("AwaitingCallback<NoVerifier>");
            let callback = user.answer(awaiting.url()).await?;
            let ready = awaiting.receive_postbox(callback)?;
            user.see("PostboxReady");
            push_all(files, account, user, async |item| ready.push(item).await).await
        }
        Kind::Ongoing => {
            let flow = Lasting::try_from(config)?.flow(client);
            user.see("Unstarted");
            let session = flow.establish_session().await?;
            let awaiting = flow.create_postbox(session).await?;
            user.see("AwaitingCallback<Verifier>");
            let callback = user.answer(awaiting.url()).await?;
            let authorized = awaiting.exchange_code(callback).await?;
            user.see("Authorized");
            push_all(files, account, user, async |item| {
                authorized.push(item).await
            })
            .await
        }
    }
}
