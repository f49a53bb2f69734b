use std::collections::HashSet;
use std::fmt;

use url::Url;

use crate::contract::{Contract, Contracts, Kind};
use crate::keys::{self, SigningKey};
use crate::random;
use crate::start_error::StartError;

/// A contract to register with a sandbox, see [`Builder::contract`](crate::Builder::contract).
///
/// ```
/// # use digime_sandbox::{NewContract, Sandbox, StartError};
/// # async fn run() -> Result<(), StartError> {
/// let receipts = NewContract::ongoing("corner-shop-receipts")
///     .name("Receipts")
///     .application_id("corner-shop")
///     .application_name("Corner Shop")
///     .redirect_uri("http://localhost:3000/digime/callback");
/// let sandbox = Sandbox::builder().contract(receipts).start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a contract exists when a sandbox starts with it"]
pub struct NewContract {
    kind: Kind,
    contract_id: String,
    name: Option<String>,
    application_id: Option<String>,
    application_name: Option<String>,
    redirect_uris: Vec<String>,
    private_key: Option<String>,
}

impl NewContract {
    /// A one-off contract with this id.
    pub fn once(contract_id: impl Into<String>) -> Self {
        Self::new(Kind::Once, contract_id)
    }

    /// An ongoing contract with this id.
    pub fn ongoing(contract_id: impl Into<String>) -> Self {
        Self::new(Kind::Ongoing, contract_id)
    }

    /// A contract for imports, by API 1.7, with this id.
    pub fn import(contract_id: impl Into<String>) -> Self {
        Self::new(Kind::Import, contract_id)
    }

    /// A contract of this kind with this id.
    pub fn new(kind: Kind, contract_id: impl Into<String>) -> Self {
        Self {
            kind,
            contract_id: contract_id.into(),
            name: None,
            application_id: None,
            application_name: None,
            redirect_uris: Vec::new(),
            private_key: None,
        }
    }

    /// The contract's name, which a person reads. Default: the id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The id of the contract's application. Several contracts may have the same. Default: the application of the three
    /// contracts that every sandbox has.
    pub fn application_id(mut self, application_id: impl Into<String>) -> Self {
        self.application_id = Some(application_id.into());
        self
    }

    /// The application's name, which a person reads. Default: the id.
    pub fn application_name(mut self, application_name: impl Into<String>) -> Self {
        self.application_name = Some(application_name.into());
        self
    }

    /// Registers a redirect URI. Call it again for each further one. Default: one at `app.example`, where nothing listens.
    pub fn redirect_uri(mut self, redirect_uri: impl Into<String>) -> Self {
        self.redirect_uris.push(redirect_uri.into());
        self
    }

    /// The private key, PEM, PKCS#1 or PKCS#8. Default: a new one.
    pub fn private_key(mut self, pem: impl Into<String>) -> Self {
        self.private_key = Some(pem.into());
        self
    }

    fn register(self, default: &Application) -> Result<Contract, StartError> {
        let contract_id = self.contract_id;
        if contract_id.is_empty() {
            return Err(StartError::EmptyId("contract_id"));
        }
        let application_id = self.application_id.unwrap_or_else(|| default.id.clone());
        if application_id.is_empty() {
            return Err(StartError::EmptyId("application_id"));
        }
        let mut redirect_uris = self.redirect_uris;
        if redirect_uris.is_empty() {
            redirect_uris.push(default_redirect_uri(&contract_id));
        }
        for uri in &redirect_uris {
            check_redirect_uri(uri).map_err(|why| StartError::RedirectUri {
                contract_id: contract_id.clone(),
                uri: uri.clone(),
                why,
            })?;
        }
        let key = match self.private_key {
            None => SigningKey::generate(),
            Some(pem) => SigningKey::from_pem(&pem).map_err(|why| StartError::PrivateKey {
                contract_id: contract_id.clone(),
                why,
            })?,
        };
        let application_name = self.application_name.unwrap_or_else(|| {
            if application_id == default.id {
                default.name.to_owned()
            } else {
                application_id.clone()
            }
        });
        Ok(Contract {
            application_name,
            application_id,
            name: self.name.unwrap_or_else(|| contract_id.clone()),
            contract_id,
            private_key: key.private_pem(),
            redirect_uri: redirect_uris[0].clone(),
            redirect_uris,
            kind: self.kind,
            public_key: key.public_der,
        })
    }
}

impl fmt::Debug for NewContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewContract")
            .field("kind", &self.kind)
            .field("contract_id", &self.contract_id)
            .field("application_id", &self.application_id)
            .field("redirect_uris", &self.redirect_uris)
            .finish_non_exhaustive()
    }
}

/// The application of the contracts that every sandbox has.
struct Application {
    id: String,
    name: &'static str,
}

/// Registers the contracts of a sandbox, and the three that every sandbox has. It takes long, since it makes keys.
pub(crate) fn register(new: Vec<NewContract>) -> Result<Contracts, StartError> {
    let suffix = random::suffix();
    let application = Application {
        id: format!("sandbox-application-{suffix}"),
        name: "Sandbox application",
    };
    let registered = new
        .into_iter()
        .map(|contract| contract.register(&application))
        .collect::<Result<Vec<_>, _>>()?;
    let of_every_sandbox = |kind, name: &str, key: &SigningKey| {
        let id = format!("sandbox-{name}-{suffix}");
        NewContract::new(kind, id)
            .name(format!("Sandbox contract, {name}"))
            .private_key(key.private_pem())
            .register(&application)
    };
    let contracts = Contracts::new(
        [
            of_every_sandbox(Kind::Once, "once", &keys::ONCE)?,
            of_every_sandbox(Kind::Ongoing, "ongoing", &keys::ONGOING)?,
            of_every_sandbox(Kind::Import, "import", &keys::IMPORT)?,
        ],
        registered,
    );
    check_ids(&contracts)?;
    Ok(contracts)
}

fn check_ids(contracts: &Contracts) -> Result<(), StartError> {
    let (mut contract_ids, mut client_ids) = (HashSet::new(), HashSet::new());
    for contract in contracts.iter() {
        let id = &contract.contract_id;
        if ["once", "ongoing", "import"].contains(&&**id) {
            return Err(StartError::ReservedId(id.clone()));
        }
        if !contract_ids.insert(id.clone()) {
            return Err(StartError::DuplicateContract(id.clone()));
        }
        let client_id = contract.client_id();
        if !client_ids.insert(client_id.clone()) {
            return Err(StartError::DuplicateClient(client_id));
        }
    }
    Ok(())
}

fn default_redirect_uri(contract_id: &str) -> String {
    let mut uri = Url::parse("https://app.example").expect("a constant URL");
    uri.path_segments_mut()
        .expect("https has a path")
        .extend([contract_id, "callback"]);
    uri.into()
}

fn check_redirect_uri(uri: &str) -> Result<(), &'static str> {
    let url = Url::parse(uri).map_err(
        |_| "is not an absolute URL: write it like `http://localhost:3000/digime/callback`",
    )?;
    if url.fragment().is_some() {
        return Err("has a fragment: remove the `#` and everything after it");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or password: remove the part that ends with `@`");
    }
    if ["javascript", "data", "blob", "about", "file"].contains(&url.scheme()) {
        return Err("can't be called back: use https, http or a scheme of your own");
    }
    Ok(())
}
