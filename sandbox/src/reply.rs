use serde::Deserialize;

/// What the user decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// To consent.
    Approve,
    /// To decline.
    Cancel,
    /// Nothing, because the client fails.
    Error,
}

/// How a link is answered, see [`Sandbox::answer`](crate::Sandbox::answer).
///
/// ```
/// use digime_sandbox::{Decision, Reply};
///
/// let another = Reply::new(Decision::Approve).by("another person");
/// let silent = Reply::new(Decision::Cancel).without_state();
/// assert_ne!(another, silent);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a reply does nothing until a link is answered with it"]
pub struct Reply {
    pub(crate) decision: Decision,
    pub(crate) user_id: Option<String>,
    pub(crate) without_state: bool,
}

impl Reply {
    /// The answer of the person who is asked. That is the person of the access token, if the application passed one on, and
    /// otherwise a new one.
    pub fn new(decision: Decision) -> Self {
        Self {
            decision,
            user_id: None,
            without_state: false,
        }
    }

    /// Lets another person answer: the one with this id, which is the `sub` of the tokens. A person who is not known yet comes
    /// into being. For links to the onboarding app of API 1.7 only.
    pub fn by(mut self, user_id: impl Into<String>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// Leaves `state` out of the callback of a failure, as the protocol of API 1.7 allows. For links to its onboarding app only.
    pub fn without_state(mut self) -> Self {
        self.without_state = true;
        self
    }
}

impl From<Decision> for Reply {
    fn from(decision: Decision) -> Self {
        Self::new(decision)
    }
}
