use serde::Serialize;

use crate::keys;

/// The id of the sandbox's only application.
pub(crate) const APPLICATION_ID: &str = "sandbox-application";

/// A contract of the sandbox, with everything that an application needs to use it.
///
/// A struct with `#[digime_contract]` can be deserialized from its serialized form.
#[derive(Clone, Debug, Serialize)]
pub struct Contract {
    /// The application's id.
    pub application_id: String,
    /// The contract's id.
    pub contract_id: String,
    /// The private key, PKCS#1 PEM.
    pub private_key: String,
    /// The contract's only registered redirect URI. Nothing listens there.
    pub redirect_uri: String,
    #[serde(skip)]
    pub(crate) public_key: Vec<u8>,
    #[serde(skip)]
    pub(crate) ongoing: bool,
}

/// The contracts of the sandbox.
#[derive(Clone, Debug)]
pub struct Contracts {
    /// The one-off contract.
    pub once: Contract,
    /// The ongoing contract.
    pub ongoing: Contract,
}

impl Contracts {
    pub(crate) fn new() -> Self {
        Self {
            once: contract("sandbox-once", false),
            ongoing: contract("sandbox-ongoing", true),
        }
    }

    fn all(&self) -> [&Contract; 2] {
        [&self.once, &self.ongoing]
    }

    pub(crate) fn by_contract_id(&self, contract_id: &str) -> Option<&Contract> {
        self.all()
            .into_iter()
            .find(|contract| contract.contract_id == contract_id)
    }

    pub(crate) fn by_client_id(&self, client_id: &str) -> Option<&Contract> {
        self.all().into_iter().find(|contract| {
            client_id
                .strip_prefix(&*contract.application_id)
                .and_then(|rest| rest.strip_prefix('_'))
                == Some(&*contract.contract_id)
        })
    }
}

fn contract(contract_id: &str, ongoing: bool) -> Contract {
    let key = if ongoing { &keys::ONGOING } else { &keys::ONCE };
    Contract {
        application_id: APPLICATION_ID.into(),
        contract_id: contract_id.into(),
        private_key: key.private_pem(),
        redirect_uri: format!("https://app.example/{contract_id}/callback"),
        public_key: key.public_der.clone(),
        ongoing,
    }
}
