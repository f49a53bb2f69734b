//! Parts that the benchmarks measure alone. They are compiled with `--cfg digime_bench` only.

use serde_json::json;

use crate::error::Error;
use crate::flow::contract::{self, Contract};
use crate::platform::client::Client;
use crate::platform::error::Operation;
use crate::postbox::ContentKey;

/// A request token, as a refresh has it; its length.
///
/// # Errors
/// None that an input explains.
pub async fn request_token(contract: &impl Contract, client: &Client) -> Result<usize, Error> {
    let claims = json!({"grant_type": "refresh_token", "refresh_token": "x"});
    let platform = contract::platform(contract, client);
    let token = platform.request_token(Operation::RefreshToken, client.timeout(), true, &claims);
    Ok(token.await?.len())
}

/// Encrypts a chunk so many times, as the parts of one file; the length of what comes out.
///
/// # Errors
/// None that an input explains.
pub fn seal(chunk: &[u8], times: usize) -> Result<usize, Error> {
    let mut encryptor = ContentKey::new().encryptor()?;
    let mut length = 0;
    for _ in 0..times {
        length += encryptor.update(chunk)?.len();
    }
    Ok(length + encryptor.finish()?.len())
}
