//! The settings: a file, and environment variables over it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use config::{ConfigError, File, FileFormat};
use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri};
use serde::Deserialize;
use url::Url;

use crate::tenant::{Product, Tenant};

/// Where digi.me calls back, below the public URL. One route serves all tenants.
pub const CALLBACK_PATH: &str = "digime/callback";

/// The settings that a variable may override, such as `SHOP_LISTEN`.
const OVERRIDABLE: [&str; 5] = [
    "listen",
    "public_url",
    "database_url",
    "admin_token",
    "base_url",
];

/// Paths that are not a tenant's.
const RESERVED: [&str; 5] = ["admin", "digime", "health", "metrics", "static"];

const SHORTEST_ADMIN_TOKEN: usize = 16;

/// All that the shop needs to know before it starts.
#[derive(Clone)]
pub struct Config {
    pub listen: SocketAddr,
    /// The address that browsers see. It ends with a slash.
    pub public_url: Url,
    /// `postgres://…`, or `sqlite:` and a path.
    pub database_url: String,
    /// What opens the admin pages and the metrics.
    pub admin_token: String,
    /// The platform, if it is not digi.me's own.
    pub base_url: Option<String>,
    /// The host to which plain http is allowed: that of a sandbox in a test network.
    pub dangerously_allow_http_to: Option<String>,
    pub tenants: Vec<Tenant>,
    /// The pages of a sandbox, if there is one in place of digi.me.
    pub sandbox: Option<SandboxPages>,
}

/// The pages of a sandbox that replace a person's phone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxPages {
    /// Opens a link, given as its parameter `link`.
    pub phone_url: Url,
    /// Shows what has arrived.
    pub inbox_url: Url,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    listen: SocketAddr,
    public_url: Url,
    database_url: String,
    admin_token: String,
    base_url: Option<String>,
    dangerously_allow_http_to: Option<String>,
    tenants: Vec<TenantSettings>,
    sandbox: Option<SandboxPages>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantSettings {
    slug: String,
    name: String,
    application_id: ApplicationId,
    contract_id: ContractId,
    /// Relative to the file with the settings.
    private_key_file: PathBuf,
    products: Vec<Product>,
}

impl Config {
    /// Reads the file, and the variables that override it.
    ///
    /// # Errors
    /// An error that names the setting.
    pub fn read(file: &Path) -> Result<Self> {
        let settings = read(file);
        let settings =
            settings.with_context(|| format!("can't read the settings in {}", file.display()))?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let redirect_uri = redirect_uri(&settings.public_url)?;
        let tenants = settings.tenants.into_iter();
        let tenants = tenants
            .map(|tenant| {
                let name = tenant.name.clone();
                let tenant = tenant.read(folder, redirect_uri.clone());
                tenant.with_context(|| format!("the tenant “{name}”"))
            })
            .collect::<Result<_>>()?;
        let config = Self {
            listen: settings.listen,
            public_url: settings.public_url,
            database_url: settings.database_url,
            admin_token: settings.admin_token,
            base_url: settings.base_url,
            dangerously_allow_http_to: settings.dangerously_allow_http_to,
            tenants,
            sandbox: settings.sandbox,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            self.admin_token.len() >= SHORTEST_ADMIN_TOKEN,
            "`admin_token` is shorter than {SHORTEST_ADMIN_TOKEN} characters: make one, as with `openssl rand -hex 16`"
        );
        ensure!(
            !self.tenants.is_empty(),
            "`tenants` is empty: add a `[[tenants]]`"
        );
        for (number, tenant) in self.tenants.iter().enumerate() {
            let slug = &tenant.slug;
            let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
            ensure!(
                !slug.is_empty() && slug.chars().all(is_plain),
                "the slug “{slug}” is part of an address: use lower case letters, digits and `-`"
            );
            ensure!(
                !RESERVED.contains(&slug.as_str()),
                "the slug “{slug}” is the address of another page: choose another one"
            );
            let earlier = &self.tenants[..number];
            ensure!(
                earlier
                    .iter()
                    .all(|it| it.slug != *slug && it.contract_id != tenant.contract_id),
                "two tenants have the slug “{slug}” or its contract: give each its own"
            );
        }
        Ok(())
    }

    /// Browsers send the session's cookie only over https, if the shop is reached by it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

fn read(file: &Path) -> Result<Settings, ConfigError> {
    let mut builder =
        config::Config::builder().add_source(File::from(file).format(FileFormat::Toml));
    // No other variable is read: Kubernetes sets `SHOP_PORT` and more, if a service is named `shop`.
    for setting in OVERRIDABLE {
        let variable = format!("SHOP_{}", setting.to_uppercase());
        builder = builder.set_override_option(setting, std::env::var(variable).ok())?;
    }
    builder.build()?.try_deserialize()
}

impl TenantSettings {
    fn read(self, folder: &Path, redirect_uri: RedirectUri) -> Result<Tenant> {
        let file = folder.join(&self.private_key_file);
        Ok(Tenant {
            application_id: self.application_id,
            contract_id: self.contract_id,
            private_key: PrivateKey::from_pem_file(file)?,
            redirect_uri,
            slug: self.slug,
            name: self.name,
            products: self.products,
        })
    }
}

/// The redirect URI of every tenant. It has to be registered for each contract.
///
/// # Errors
/// An error that says why the public URL can't be the beginning of a redirect URI.
pub fn redirect_uri(public_url: &Url) -> Result<RedirectUri> {
    if public_url.path() != "/" || public_url.query().is_some() {
        bail!(
            "`public_url` has a path: the shop needs an address of its own, such as `https://shop.example`"
        );
    }
    let uri = RedirectUri::new(format!("{public_url}{CALLBACK_PATH}"));
    uri.context("`public_url` can't be called back")
}
