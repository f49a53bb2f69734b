//! The shop without any settings: two tenants, and a sandbox that replaces digi.me and a person's phone.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use digime::{ApplicationId, ContractId, PrivateKey};
use digime_sandbox::{Kind, NewContract, Sandbox};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::api::Api;
use crate::app::Shop;
use crate::config::{Config, SandboxPages, a_week, redirect_uri};
use crate::session::random_id;
use crate::tenant::{Price, Product, Tenant};

/// Runs the demo until `stop` is cancelled, and prints its addresses.
///
/// # Errors
/// An error that says what can't be started.
pub async fn run(api: Api, port: Option<u16>, stop: CancellationToken) -> Result<()> {
    let listener = listen(port).await?;
    let address = listener.local_addr()?;
    let demo = Demo::start(api, address).await?;
    let config = demo.config(address)?;
    println!("The shop:           http://{address}");
    if api == Api::Postbox {
        println!("The person's phone: {}", demo.sandbox.phone_url());
    }
    println!("The person's inbox: {}", demo.sandbox.inbox_page_url());
    println!(
        "The admin's page:   http://{address}/admin (token: {})",
        config.admin_token
    );
    println!(
        "Buy something, and save the receipt. Ctrl-C ends the demo, and nothing is left of it."
    );
    Shop::build(config, listener).await?.run(stop).await
}

/// The port that was asked for; or the first one that is free, from 3000.
async fn listen(port: Option<u16>) -> Result<TcpListener> {
    let ports = port.map_or(3000..=3100, |port| port..=port);
    let addresses: Vec<SocketAddr> = ports
        .map(|port| (Ipv4Addr::LOCALHOST, port).into())
        .collect();
    let listener = TcpListener::bind(addresses.as_slice()).await;
    listener.with_context(|| format!("can't listen on {}", addresses[0]))
}

/// What the demo's shop needs while it runs. It ends when this is dropped, and nothing is left of it.
pub struct Demo {
    pub sandbox: Sandbox,
    api: Api,
    folder: TempDir,
}

impl Demo {
    /// Starts a sandbox for a shop that listens at `address`.
    ///
    /// # Errors
    /// An error that says what can't be started.
    pub async fn start(api: Api, address: SocketAddr) -> Result<Self> {
        let redirect_uri = redirect_uri(&public_url(address)?)?;
        let mut builder = Sandbox::builder();
        for (slug, name, _) in SHOPS {
            let kind = match api {
                Api::Postbox => Kind::Ongoing,
                Api::Import => Kind::Import,
            };
            let contract = NewContract::new(kind, contract_id(slug))
                .name("Receipts")
                .application_id(slug)
                .application_name(name)
                .redirect_uri(redirect_uri.as_str());
            builder = builder.contract(contract);
        }
        let sandbox = builder.start().await.context("can't start the sandbox")?;
        let folder = tempfile::tempdir().context("can't make a folder for the database")?;
        Ok(Self {
            sandbox,
            api,
            folder,
        })
    }

    /// The settings of a shop that uses this sandbox.
    ///
    /// # Errors
    /// An error that says what does not fit.
    pub fn config(&self, address: SocketAddr) -> Result<Config> {
        let public_url = public_url(address)?;
        let redirect_uri = redirect_uri(&public_url)?;
        let tenant = |(slug, name, products): (&str, &str, &[(&str, &str, u32)])| {
            let contract = self
                .sandbox
                .contract(&contract_id(slug))
                .context("the contract was added")?;
            let product = |&(id, name, cents): &(&str, &str, u32)| Product {
                id: id.into(),
                name: name.into(),
                price: Price(cents),
            };
            anyhow::Ok(Tenant {
                application_id: ApplicationId::new(&contract.application_id)?,
                contract_id: ContractId::new(&contract.contract_id)?,
                private_key: PrivateKey::from_pem(&contract.private_key)?,
                redirect_uri: redirect_uri.clone(),
                slug: slug.into(),
                name: name.into(),
                products: products.iter().map(product).collect(),
            })
        };
        let sandbox = &self.sandbox;
        let (base_url, onboarding_url) = match self.api {
            Api::Postbox => (sandbox.base_url(), None),
            Api::Import => (
                sandbox.import_base_url(),
                Some(sandbox.onboarding_url().parse()?),
            ),
        };
        Ok(Config {
            listen: address,
            database_url: format!("sqlite:{}", self.folder.path().join("shop.db").display()),
            admin_token: random_id(),
            api: self.api,
            base_url: Some(base_url.into()),
            onboarding_url,
            consent_notice: a_week(),
            dangerously_allow_http_to: None,
            tenants: SHOPS.into_iter().map(tenant).collect::<Result<_>>()?,
            sandbox: Some(SandboxPages {
                phone_url: Some(self.sandbox.phone_url().parse()?),
                inbox_url: self.sandbox.inbox_page_url().parse()?,
            }),
            public_url,
        })
    }
}

fn public_url(address: SocketAddr) -> Result<Url> {
    Ok(format!("http://{address}").parse()?)
}

fn contract_id(slug: &str) -> String {
    format!("{slug}-receipts")
}

type DemoShop = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str, u32)],
);

const SHOPS: [DemoShop; 2] = [
    (
        "corner-shop",
        "Corner Shop",
        &[
            ("coffee", "Coffee beans, 250 g", 850),
            ("honey", "Forest honey", 620),
            ("bread", "Sourdough bread", 480),
        ],
    ),
    (
        "book-barn",
        "Book Barn",
        &[
            ("novel", "A novel, second-hand", 400),
            ("atlas", "An atlas of islands", 2800),
            ("notebook", "A notebook, dotted", 350),
        ],
    ),
];
