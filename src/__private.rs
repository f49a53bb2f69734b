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
