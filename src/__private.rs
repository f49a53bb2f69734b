//! What the attribute's code uses and nobody else should: it may change in any version.

use crate::contract::{ApplicationId, ContractId, RedirectUri};

/// A literal that the attribute has checked.
#[must_use]
pub const fn application_id(checked: &'static str) -> ApplicationId {
    ApplicationId::from_checked(checked)
}

/// A literal that the attribute has checked.
#[must_use]
pub const fn contract_id(checked: &'static str) -> ContractId {
    ContractId::from_checked(checked)
}

/// A literal that the attribute has checked.
#[must_use]
pub const fn redirect_uri(checked: &'static str) -> RedirectUri {
    RedirectUri::from_checked(checked)
}

/// What the benchmarks measure on its own.
pub mod measured {
    use serde_json::json;

    use crate::client::Client;
    use crate::contract::Contract;
    use crate::error::Error;
    use crate::platform::Platform;
    use crate::postbox::Envelope;

    /// A request token, as a refresh has it; its length.
    ///
    /// # Errors
    /// None that an input explains.
    pub fn request_token(contract: &impl Contract, client: &Client) -> Result<usize, Error> {
        let claims = json!({"grant_type": "refresh_token", "refresh_token": "x"});
        let token = Platform::new(contract, client).request_token(&claims)?;
        Ok(token.len())
    }

    /// Encrypts a chunk so many times, as the parts of one file; the length of what comes out.
    ///
    /// # Errors
    /// None that an input explains.
    pub fn seal(chunk: &[u8], times: usize) -> Result<usize, Error> {
        let mut encryptor = Envelope::new().encryptor()?;
        let mut length = 0;
        for _ in 0..times {
            length += encryptor.update(chunk)?.len();
        }
        Ok(length + encryptor.finish()?.len())
    }
}
