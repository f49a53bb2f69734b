//! Checkups: a kind of contract with another flow, `Unchecked -> Checked`, which asks the platform what the contract allows.
//!
//! `#[digime_contract(kind = Checkup)]` on a struct gives it this flow.

use digime::error::Operation;
use digime::extend::ExtensionState;
use digime::kind::FlowKind;
use digime::request::Request;
use digime::{Authorized, AwaitingCallback, Error, Flow, PostboxReady, Rejected, Unstarted};
use serde::Deserialize;

/// The kind of contracts that are only checked.
#[derive(Debug)]
pub enum Checkup {}

/// The state of a flow whose contract was not checked yet.
///
/// What comes next: [`check`](Check::check).
#[must_use = "the next step is `flow.check().await?`"]
#[derive(Debug)]
pub struct Unchecked(());

/// The state of a flow whose contract was checked.
#[must_use = "look at what the contract allows: `checked.as_state().allows_writing()`"]
#[derive(Debug)]
pub struct Checked(Contract);

/// What the platform says of a contract.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contract {
    access_type: String,
    /// Unix time in seconds.
    expiration_date: Option<u64>,
}

impl FlowKind for Checkup {
    type Start<C> = Unchecked;

    fn begin<C>(flow: Flow<C, Unstarted>) -> Flow<C, Unchecked> {
        flow.extend(|_| Unchecked(()))
    }
}

impl ExtensionState for Unchecked {}

impl ExtensionState for Checked {}

impl Checked {
    /// Whether data may be pushed under the contract.
    #[must_use]
    pub fn allows_writing(&self) -> bool {
        self.0.access_type == "w"
    }

    /// When the contract ends, in seconds of Unix time. `None` if the platform does not say.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.0.expiration_date
    }
}

digime::calls! {
    /// Checks contracts.
    pub trait Check<C> {
        /// Asks the platform what the contract allows.
        ///
        /// # Errors
        /// [`Error::Request`] if the platform was not reached or refused. [`Rejected`] gives the flow back.
        async fn check(self) -> Result<Flow<C, Checked>, Rejected<Self>>
        where
            Self: CanBeChecked<C>,
        {
            Unchecked => check;
            Checked: WasChecked;
            Unstarted: HasAPostboxFlow;
            AwaitingCallback<V>: HasAPostboxFlow, for any V;
            PostboxReady: HasAPostboxFlow;
            Authorized: HasAPostboxFlow;
            _:  "cannot check the contract of a `{Self}`",
                "only a flow that is `Unchecked` is checked",
                "begin a flow under a contract that is `#[digime_contract(kind = Checkup)]`";
        }
    }
}

async fn check<C>(
    flow: Flow<C, Unchecked>,
) -> Result<Flow<C, Checked>, Rejected<Flow<C, Unchecked>>> {
    match contract(&flow).await {
        Ok(contract) => Ok(flow.extend(|_| Checked(contract))),
        Err(error) => Err(Rejected::new(flow, error)),
    }
}

/// `GET permission-access/contract`
async fn contract<C>(flow: &Flow<C, Unchecked>) -> Result<Contract, Error> {
    let path = ["permission-access", "contract"];
    let request = Request::get(path, Operation::custom("check the contract"));
    Ok(flow.request(request).await?.json()?)
}

digime::reasons! {
    pub ChecksOnly:
        "this contract is only checked: `{Self}` has no postbox",
        "the contract is `#[digime_contract(kind = Checkup)]`",
        "check it, `let checked = flow.check().await?;`; for a postbox the contract must be `once` or `ongoing`";
    pub WasChecked:
        "this contract was checked already: the answer is in `Checked`",
        "the flow has what the platform said",
        "read it, `checked.as_state().allows_writing()`, or begin another flow: `contract.flow(&client)`";
    pub HasAPostboxFlow:
        "cannot check the contract: `{Self}` belongs to the flow of a postbox",
        "only a contract that is `#[digime_contract(kind = Checkup)]` is checked",
        "make the next call of the postbox's flow, or give a struct with the same ids the kind `Checkup`";
}

digime::wrong_calls! {
    impl[] Unchecked {
        _: ChecksOnly;
    }
}

digime::wrong_calls! {
    impl[] Checked {
        _: ChecksOnly;
    }
}
