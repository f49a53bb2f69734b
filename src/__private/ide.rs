//! What an editor offers inside the attributes, and what it shows over each word there.
//!
//! `#[digime_contract]` names these items where the user wrote the word, in code that only editors read.

#![expect(non_camel_case_types, reason = "the items are called as the words are")]

/// The words that `#[digime_contract(…)]` takes.
pub mod arguments {
    pub use super::roles::{application_id, contract_id, redirect_uri};

    /// A one-off contract: one consent, one postbox, no token.
    ///
    /// Its flow goes from [`Unstarted`](crate::Unstarted) through [`AwaitingCallback`](crate::AwaitingCallback) to
    /// [`PostboxReady`](crate::PostboxReady).
    pub type once = crate::kind::Once;

    /// An ongoing contract: the user's consent lasts, as an access token that is refreshed.
    ///
    /// Its flow goes from [`Unstarted`](crate::Unstarted) through [`AwaitingCallback`](crate::AwaitingCallback) to
    /// [`Authorized`](crate::Authorized).
    pub type ongoing = crate::kind::Ongoing;

    /// A kind that another library brings, with another flow: `kind = a_library::Kind`. It is a
    /// [`FlowKind`](crate::kind::FlowKind).
    pub type kind = crate::kind::Ongoing;
}

/// The words that `#[digime(…)]` takes.
pub mod roles {
    /// The application's id, issued by digi.me: a field of type [`ApplicationId`](crate::ApplicationId), or a literal,
    /// `application_id = "…"`.
    pub type application_id = crate::ApplicationId;

    /// The contract's id, issued by digi.me: a field of type [`ContractId`](crate::ContractId), or a literal,
    /// `contract_id = "…"`.
    pub type contract_id = crate::ContractId;

    /// The contract's private key, with which every request is signed: a field of type
    /// [`PrivateKey`](crate::PrivateKey), or any other [`Signer`](crate::Signer).
    pub type private_key = crate::PrivateKey;

    /// Where the user's client calls back, one of the contract's registered redirect URIs: a field of type
    /// [`RedirectUri`](crate::RedirectUri), or a literal, `redirect_uri = "https://…"`.
    pub type redirect_uri = crate::RedirectUri;
}
