//! The settings: a file, and environment variables over it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use config::{ConfigError, File, FileFormat};
use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::api::Api;
use crate::tenant::{Product, Tenant};

/// Where digi.me calls back, below the public URL. One route serves all tenants.
pub const CALLBACK_PATH: &str = "digime/callback";

/// The settings that a variable may override, such as `SHOP_LISTEN`.
const OVERRIDABLE: [&str; 8] = [
    "listen",
    "public_url",
    "database_url",
    "admin_token",
    "api",
    "base_url",
    "onboarding_url",
    "consent_notice",
];

/// Paths that are not a tenant's.
const RESERVED: [&str; 5] = ["admin", "digime", "health", "metrics", "static"];

const SHORTEST_ADMIN_TOKEN: usize = 16;

/// Where digi.me's own pages are, by API 1.7.
const DIGI_ME_PAGES: &str = "https://api.digi.me";

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
    pub api: Api,
    /// The platform, if it is not digi.me's own.
    pub base_url: Option<String>,
    /// The pages of that platform on which customers consent, by API 1.7.
    pub onboarding_url: Option<Url>,
    /// How long before the end of a consent the customer is asked to renew it.
    pub consent_notice: Duration,
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
    /// Opens a link, given as its parameter `link`. By API 1.7 there is no phone.
    pub phone_url: Option<Url>,
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
    #[serde(default)]
    api: Api,
    base_url: Option<String>,
    onboarding_url: Option<Url>,
    #[serde(default = "a_week", deserialize_with = "duration")]
    consent_notice: Duration,
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
            api: settings.api,
            base_url: settings.base_url,
            onboarding_url: settings.onboarding_url,
            consent_notice: settings.consent_notice,
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
        self.check_platform()?;
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

    /// Each API has addresses of its own.
    fn check_platform(&self) -> Result<()> {
        let base_url = self.base_url.as_deref().unwrap_or_default();
        let version = base_url.trim_end_matches('/').rsplit('/').next();
        let (api, other) = match self.api {
            Api::Postbox => ("`api = \"postbox\"`", "v1.7"),
            Api::Import => ("`api = \"import\"`", "v1.5"),
        };
        ensure!(
            version != Some(other),
            "`base_url` is that of API {other}, and the shop has {api}: change one of them"
        );
        match self.api {
            Api::Postbox => ensure!(
                self.onboarding_url.is_none(),
                "`onboarding_url` is for `api = \"import\"`: remove it, or change `api`"
            ),
            Api::Import => ensure!(
                self.onboarding_url.is_some() || self.base_url.is_none(),
                "`base_url` is another platform's, and `onboarding_url` is missing: add the address of that platform's pages"
            ),
        }
        Ok(())
    }

    /// Where forms may lead, beside the shop itself: browsers apply the limit to redirections too, as to the page of digi.me on
    /// which a customer consents.
    #[must_use]
    pub fn form_targets(&self) -> Option<String> {
        (self.api == Api::Import).then(|| match &self.onboarding_url {
            Some(pages) => pages.origin().ascii_serialization(),
            None => DIGI_ME_PAGES.into(),
        })
    }

    /// Browsers send the session's cookie only over https, if the shop is reached by it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

/// How long before the end of a consent customers are asked, unless the settings say otherwise.
#[must_use]
pub fn a_week() -> Duration {
    Duration::from_hours(7 * 24)
}

/// Reads a duration, such as `7 days`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        D::Error::custom(format!(
            "`consent_notice` is “{text}”: write it as in `7 days` or `36h` ({error})"
        ))
    })
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
