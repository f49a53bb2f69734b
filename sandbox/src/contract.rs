use std::fmt;

use serde::{Deserialize, Serialize};

/// How an application may push with one consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A one-off contract: each consent creates a postbox, and no tokens.
    Once,
    /// An ongoing contract: a consent creates a postbox and tokens, with which the application can push again later.
    Ongoing,
    /// A contract of API 1.7, under which an application imports into the user's library. A consent lasts, as an ongoing one.
    Import,
}

/// A contract of the sandbox, with everything that an application needs to use it.
///
/// A struct with `#[digime_contract]` can be deserialized from its serialized form.
#[derive(Clone, Serialize)]
pub struct Contract {
    /// The application's id.
    pub application_id: String,
    /// The contract's id.
    pub contract_id: String,
    /// The private key, PKCS#1 PEM.
    pub private_key: String,
    /// The first of the registered redirect URIs.
    pub redirect_uri: String,
    /// Whether it is one-off, ongoing or for imports.
    pub kind: Kind,
    /// The contract's name, which a person reads.
    pub name: String,
    /// The application's name, which a person reads.
    pub application_name: String,
    /// All registered redirect URIs.
    pub redirect_uris: Vec<String>,
    #[serde(skip)]
    pub(crate) public_key: Vec<u8>,
}

impl Contract {
    /// How the contract is named in request tokens.
    pub(crate) fn client_id(&self) -> String {
        format!("{}_{}", self.application_id, self.contract_id)
    }

    pub(crate) fn is_import(&self) -> bool {
        self.kind == Kind::Import
    }

    pub(crate) fn is_ongoing(&self) -> bool {
        self.kind == Kind::Ongoing
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("application_id", &self.application_id)
            .field("contract_id", &self.contract_id)
            .field("redirect_uris", &self.redirect_uris)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The contracts of a sandbox.
#[derive(Clone, Debug)]
pub struct Contracts {
    /// The one-off contract that every sandbox has.
    pub once: Contract,
    /// The ongoing contract that every sandbox has.
    pub ongoing: Contract,
    /// The contract for imports, by API 1.7, that every sandbox has.
    pub import: Contract,
    registered: Vec<Contract>,
}

impl Contracts {
    pub(crate) fn new([once, ongoing, import]: [Contract; 3], registered: Vec<Contract>) -> Self {
        Self {
            once,
            ongoing,
            import,
            registered,
        }
    }

    /// The contracts that were registered with the builder, and then the three that every sandbox has.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        let of_every_sandbox = [&self.once, &self.ongoing, &self.import];
        self.registered.iter().chain(of_every_sandbox)
    }

    pub(crate) fn by_contract_id(&self, contract_id: &str) -> Option<&Contract> {
        self.iter()
            .find(|contract| contract.contract_id == contract_id)
    }

    pub(crate) fn by_client_id(&self, client_id: &str) -> Option<&Contract> {
        self.iter()
            .find(|contract| contract.client_id() == client_id)
    }
}
