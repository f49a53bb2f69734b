//! Pushes files: into an embedded sandbox, or into any platform.
//!
//! `cargo run --example push -- FILE…` runs the whole flow and shows what the user's client decrypts.
//! `cargo run --example push -- --base-url URL --config contract.toml --kind once|ongoing|import FILE…` prints the link to
//! open, reads the URL that was called back from standard input, and pushes. `import` is the push of API 1.7; another
//! platform than digi.me needs `--onboarding-url URL` too, the address of its pages.

mod config;
mod items;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use digime::{Client, ClientBuilder};
use digime_import::{ImportFlow, OnboardingUrl};
use digime_sandbox::Sandbox;
use serde_json::json;

use config::{Config, Imported, Lasting, OneOff};
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
    /// The address of the platform's pages, for the kind `import`.
    #[arg(long, requires = "base_url", value_name = "URL")]
    onboarding_url: Option<String>,
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
    Import,
}

impl Kind {
    /// A client for digi.me, at the version of the API that the kind needs.
    fn client(self) -> ClientBuilder {
        match self {
            Self::Once | Self::Ongoing => Client::builder(),
            Self::Import => digime_import::client(),
        }
    }
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
    let mut client = arguments.kind.client();
    if let Some(url) = &arguments.base_url {
        client = client.base_url(url);
    }
    if let Some(url) = &arguments.onboarding_url {
        client = client.extension(OnboardingUrl::new(url)?);
    }
    let client = client.build()?;
    push(arguments.kind, config, &client, &User::Person, files).await
}

async fn push_to_sandbox(kind: Kind, files: &[PathBuf]) -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let contract = match kind {
        Kind::Once => &sandbox.contracts().once,
        Kind::Ongoing => &sandbox.contracts().ongoing,
        Kind::Import => &sandbox.contracts().import,
    };
    let base_url = match kind {
        Kind::Once | Kind::Ongoing => sandbox.base_url(),
        Kind::Import => sandbox.import_base_url(),
    };
    let config = serde_json::from_value(json!({
        "application_id": contract.application_id,
        "contract_id": contract.contract_id,
        "private_key": contract.private_key,
        "redirect_uri": contract.redirect_uri,
        "account": "customer-42",
    }))?;
    let pages = OnboardingUrl::new(sandbox.onboarding_url())?;
    let client = kind.client().base_url(base_url).extension(pages).build()?;
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
            push_all(files, account, user, async |item, _| ready.push(item).await).await
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
            push_all(files, account, user, async |item, _| {
                authorized.push(item).await
            })
            .await
        }
        Kind::Import => {
            let flow = Imported::try_from(config)?.flow(client);
            user.see("Unstarted");
            let awaiting = flow.authorize().await?;
            user.see("AwaitingConsent<Verifier>");
            let callback = user.answer(awaiting.url()).await?;
            let connected = awaiting.exchange_code(callback).await?;
            user.see("Connected");
            push_all(files, account, user, async |item, file| {
                // The name of a file does not arrive by import.
                let name = file.file_name().unwrap_or_default();
                connected.push(item.reference(name.to_string_lossy())).await
            })
            .await
        }
    }
}
