//! Contracts in a TOML file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use digime_sandbox::{Kind, NewContract};
use serde::Deserialize;
use thiserror::Error;

/// Why the file with the contracts can't be used.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("can't read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The message has the line.
    #[error("`{}`: {message}", path.display())]
    Content { path: PathBuf, message: String },
    #[error("`{}`: the contract `{contract_id}` has both `private_key` and `private_key_file`: remove one", path.display())]
    TwoKeys { path: PathBuf, contract_id: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contracts {
    contract: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: Kind,
    contract_id: String,
    application_id: String,
    name: Option<String>,
    application_name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    private_key: Option<String>,
    /// Relative to the folder of the file.
    private_key_file: Option<PathBuf>,
}

pub(crate) fn read(path: &Path) -> Result<Vec<NewContract>, FileError> {
    let text = read_text(path.to_owned())?;
    let contracts: Contracts = toml::from_str(&text).map_err(|error| FileError::Content {
        path: path.to_owned(),
        message: in_one_line(&error, &text),
    })?;
    let entries = contracts.contract.into_iter();
    entries.map(|entry| entry.into_contract(path)).collect()
}

impl Entry {
    fn into_contract(self, path: &Path) -> Result<NewContract, FileError> {
        let mut new = NewContract::new(self.kind, &*self.contract_id);
        new = new.application_id(self.application_id);
        if let Some(name) = self.name {
            new = new.name(name);
        }
        if let Some(name) = self.application_name {
            new = new.application_name(name);
        }
        for uri in self.redirect_uris {
            new = new.redirect_uri(uri);
        }
        match (self.private_key, self.private_key_file) {
            (None, None) => Ok(new),
            (Some(pem), None) => Ok(new.private_key(pem)),
            (None, Some(file)) => {
                let folder = path.parent().unwrap_or_else(|| Path::new(""));
                Ok(new.private_key(read_text(folder.join(file))?))
            }
            (Some(_), Some(_)) => Err(FileError::TwoKeys {
                path: path.to_owned(),
                contract_id: self.contract_id,
            }),
        }
    }
}

fn read_text(path: PathBuf) -> Result<String, FileError> {
    fs::read_to_string(&path).map_err(|source| FileError::Read { path, source })
}

/// The error without the excerpt that toml prints, which may show a private key.
fn in_one_line(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}
