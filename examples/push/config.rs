//! The contract, as written in a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri, digime_contract};
use digime_import::Import;
use serde::Deserialize;

/// The content of `contract.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: Option<PrivateKey>,
    private_key_file: Option<PathBuf>,
    redirect_uri: RedirectUri,
    pub account: Option<String>,
}

/// The contract, if it is a one-off one.
#[digime_contract(once)]
pub(crate) struct OneOff {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

/// The contract, if it is an ongoing one.
#[digime_contract(ongoing)]
pub(crate) struct Lasting {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

/// The contract, if it is one for the import of API 1.7.
#[digime_contract(kind = Import)]
pub(crate) struct Imported {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

impl Config {
    /// Reads a TOML file. A relative `private_key_file` is relative to that file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read `{name}`"))?;
        let mut config: Self =
            toml::from_str(&text).map_err(|error| anyhow!("`{name}`: {}", error.message()))?;
        if let Some(file) = &mut config.private_key_file {
            *file = path.parent().unwrap_or(Path::new("")).join(&file);
        }
        Ok(config)
    }

    fn private_key(&self) -> Result<PrivateKey> {
        match (&self.private_key, &self.private_key_file) {
            (Some(key), None) => Ok(key.clone()),
            (None, Some(file)) => Ok(PrivateKey::from_pem_file(file)?),
            _ => bail!("the contract needs `private_key` or `private_key_file`, one of the two"),
        }
    }
}

macro_rules! contract_of_config {
    ($($contract:ident)*) => {$(
        impl TryFrom<Config> for $contract {
            type Error = anyhow::Error;

            fn try_from(config: Config) -> Result<Self> {
                Ok(Self {
                    private_key: config.private_key()?,
                    application_id: config.application_id,
                    contract_id: config.contract_id,
                    redirect_uri: config.redirect_uri,
                })
            }
        }
    )*};
}

contract_of_config!(OneOff Lasting Imported);
