use thiserror::Error;

/// Why a user's client, or the onboarding app, can't open a link.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the user's client can't open the link: {0}")]
pub struct BadLink(String);

impl BadLink {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}
