//! The shops that this program serves. Each has a contract of its own with digi.me.

use std::fmt;

use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri};
use serde::Deserialize;

/// A shop, and what its contract consists of. The module `digi_me` makes the contract.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub application_id: ApplicationId,
    pub contract_id: ContractId,
    pub private_key: PrivateKey,
    pub redirect_uri: RedirectUri,
    /// The first part of the path of the shop's pages.
    pub slug: String,
    pub name: String,
    pub products: Vec<Product>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    pub id: String,
    pub name: String,
    #[serde(rename = "price_in_cents")]
    pub price: Price,
}

/// An amount of euros, in cents.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Price(pub u32);

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "€{}.{:02}", self.0 / 100, self.0 % 100)
    }
}
