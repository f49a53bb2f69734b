//! The process of the flow, which never has the key.

use std::path::PathBuf;

use anyhow::{Context, Result};
use digime::{
    ApplicationId, Callback, Client, ContractId, PostboxItem, RedirectUri, Signer, digime_contract,
};

use crate::child::Service;
use crate::signer::KmsSigner;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The base URL of the platform, if it is not digi.me's.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The contract: `application_id`, `contract_id` and `redirect_uri`, as TOML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The private key as PEM, which only the service reads.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// The files to push.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(serde::Deserialize)]
struct Config {
    application_id: ApplicationId,
    contract_id: ContractId,
    redirect_uri: RedirectUri,
}

#[digime_contract(ongoing)]
struct Receipts<K: Signer + Clone> {
    application_id: ApplicationId,
    contract_id: ContractId,
    #[digime(private_key)]
    signer: K,
    redirect_uri: RedirectUri,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let service = Service::start(&arguments.key_file).await?;
    let signer = KmsSigner::connect(service.socket.clone()).await?;
    println!("key: {}", signer.key_id());
    println!("processes: {} {}", std::process::id(), service.process);

    let config = std::fs::read_to_string(&arguments.config).context("can't read the contract")?;
    let config: Config = toml::from_str(&config)?;
    let receipts = Receipts {
        application_id: config.application_id,
        contract_id: config.contract_id,
        signer,
        redirect_uri: config.redirect_uri,
    };
    let mut client = Client::builder();
    if let Some(url) = &arguments.base_url {
        client = client.base_url(url);
    }
    let flow = receipts.flow(&client.build()?);

    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    println!("open {}", awaiting.url());
    let called = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await?;
    let called = called.context("no callback URL on standard input")??;
    let authorized = awaiting.exchange_code(Callback::from_url(called)?).await?;
    for file in &arguments.files {
        let delivery = authorized.push(PostboxItem::file(file)).await?;
        println!("{}: {:?}", file.display(), delivery.status());
    }
    Ok(())
}
