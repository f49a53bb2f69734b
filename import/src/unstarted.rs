use digime::extend::ExtensionState;

/// The state of a flow that has not asked for anything yet.
///
/// What comes next: [`authorize`](crate::ImportFlow::authorize), or [`authorize_with`](crate::ImportFlow::authorize_with) with
/// options.
#[must_use = "the next step is `flow.authorize().await?`"]
#[derive(Debug)]
pub struct Unstarted(());

impl Unstarted {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl ExtensionState for Unstarted {}
