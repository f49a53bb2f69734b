//! Flows whose state is known only at run time.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::record::{ContractIds, LONGEST_SHOWN, check_version};
use super::{Durable, Suspended, SuspendedError};
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::flow::contract::{self, Contract, Kind};
use crate::flow::{
    Authorized, AwaitingCallback, Flow, MaybeVerifier, NoVerifier, PostboxReady, Unstarted,
    Verifier,
};
use crate::platform::client::Client;

/// What a suspended flow is, without the flow: for rows, queues and admin pages that hold flows of any contract and state, those
/// of libraries too.
///
/// ```
/// use digime::suspended::SuspendedHead;
/// use digime::{Authorized, Flow};
///
/// fn describe<C>(authorized: &Flow<C, Authorized>) -> Result<(), digime::Error> {
///     let row = authorized.suspend().to_json()?;
///     let head = SuspendedHead::from_json(&row)?;
///     println!("a flow of {} that is {}", head.contract_id(), head.state());
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspendedHead {
    state: String,
    contract: ContractIds,
}

impl SuspendedHead {
    /// Reads what [`Suspended::to_json`] has written.
    ///
    /// # Errors
    /// [`SuspendedError::Damaged`] if it is no suspended flow, [`SuspendedError::LaterVersion`] if a later version of this
    /// library wrote it.
    pub fn from_json(json: &str) -> Result<Self, SuspendedError> {
        #[derive(Deserialize)]
        struct Head {
            fmt: u32,
            state: String,
            contract: ContractIds,
        }

        let head: Head = serde_json::from_str(json).map_err(|_| SuspendedError::Damaged)?;
        check_version(head.fmt)?;
        Ok(Self {
            state: head.state,
            contract: head.contract,
        })
    }

    /// The name of the state, such as `AwaitingCallback<Verifier>`: the [`NAME`](Durable::NAME) of a library's state, behind
    /// which `@2` is the version of its record if that is not the first.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The id of the contract.
    #[must_use]
    pub fn contract_id(&self) -> &str {
        self.contract.contract_id()
    }

    /// The id of the application.
    #[must_use]
    pub fn application_id(&self) -> &str {
        self.contract.application_id()
    }

    fn is_in<S: Durable>(&self) -> bool {
        self.state == S::NAME
    }
}

macro_rules! states {
    ($($(#[$docs:meta])* $name:ident: $state:ty,)*) => {
        /// A suspended flow in one of this library's states, which is known only at run time.
        ///
        /// ```
        /// use digime::suspended::AnySuspended;
        /// use digime::{Client, Error, OngoingContract, PostboxItem};
        ///
        /// async fn go_on<C: OngoingContract>(row: &str, contract: &C, client: &Client) -> Result<(), Error> {
        ///     match AnySuspended::<C, String>::from_json(row)? {
        ///         AnySuspended::WithToken(suspended) => {
        ///             let (suspended, customer) = suspended.into_parts();
        ///             let authorized = suspended.resume(contract, client)?;
        ///             let delivery = authorized.push(PostboxItem::file("receipt.pdf")).await?;
        ///             println!("{customer}: {:?}", delivery.status());
        ///         }
        ///         other => println!("not connected yet: {}", other.state_name()),
        ///     }
        ///     Ok(())
        /// }
        /// ```
        #[derive(Debug)]
        #[must_use = "a suspended flow does nothing until it is resumed: keep it"]
        pub enum AnySuspended<C, D = ()> {
            $($(#[$docs])* $name(Suspended<C, $state, D>),)*
        }

        $(
            impl<C, D> From<Suspended<C, $state, D>> for AnySuspended<C, D> {
                fn from(suspended: Suspended<C, $state, D>) -> Self {
                    Self::$name(suspended)
                }
            }
        )*

        impl<C, D> AnySuspended<C, D> {
            /// Reads what [`Suspended::to_json`] has written, in whichever state.
            ///
            /// # Errors
            /// [`SuspendedError::AnotherState`] if the state is a library's; otherwise what
            /// [`Suspended::from_json`] returns.
            pub fn from_json(json: &str) -> Result<Self, SuspendedError>
            where
                D: DeserializeOwned,
            {
                let head = SuspendedHead::from_json(json)?;
                $(
                    if head.is_in::<$state>() {
                        return Suspended::from_json(json).map(Self::$name);
                    }
                )*
                Err(SuspendedError::AnotherState {
                    found: excerpt(&head.state, LONGEST_SHOWN),
                    wanted: "AwaitingCallback, PostboxReady or Authorized",
                })
            }

            /// The flow as JSON, as [`Suspended::to_json`] writes it.
            ///
            /// # Errors
            /// [`SuspendedError::Damaged`] if the attached data can't be serialized.
            pub fn to_json(&self) -> Result<String, SuspendedError>
            where
                D: Serialize,
            {
                match self {
                    $(Self::$name(suspended) => suspended.to_json(),)*
                }
            }

            /// The name of the state.
            #[must_use]
            pub fn state_name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => <$state>::NAME,)*
                }
            }

            /// The data that the application attached.
            #[must_use]
            pub fn data(&self) -> &D {
                match self {
                    $(Self::$name(suspended) => suspended.data(),)*
                }
            }
        }

        /// A flow in one of this library's states, which is known only at run time: for collections of flows.
        ///
        /// ```
        /// use digime::suspended::{AnyFlow, AnySuspended};
        /// use digime::{Client, Error, OngoingContract};
        ///
        /// fn resume_all<C: OngoingContract>(rows: &[String], contract: &C, client: &Client) -> Result<Vec<AnyFlow<C>>, Error> {
        ///     let flows = rows.iter().map(|row| AnySuspended::<C>::from_json(row)?.resume(contract, client));
        ///     flows.collect()
        /// }
        /// ```
        #[derive(Debug)]
        #[must_use = "match it, and make the flow's next call"]
        pub enum AnyFlow<C> {
            /// Nothing was asked for yet.
            NotStarted(Flow<C, Unstarted>),
            $($(#[$docs])* $name(Flow<C, $state>),)*
        }

        impl<C> From<Flow<C, Unstarted>> for AnyFlow<C> {
            fn from(flow: Flow<C, Unstarted>) -> Self {
                Self::NotStarted(flow)
            }
        }

        $(
            impl<C> From<Flow<C, $state>> for AnyFlow<C> {
                fn from(flow: Flow<C, $state>) -> Self {
                    Self::$name(flow)
                }
            }
        )*

        impl<C> AnyFlow<C> {
            /// The name of the state.
            #[must_use]
            pub fn state_name(&self) -> &'static str {
                match self {
                    Self::NotStarted(_) => "Unstarted",
                    $(Self::$name(_) => <$state>::NAME,)*
                }
            }

            /// The flow as data; `None` if nothing was asked for yet, so there is nothing to keep.
            pub fn suspend(self) -> Option<AnySuspended<C>> {
                match self {
                    Self::NotStarted(_) => None,
                    $(Self::$name(flow) => Some(flow.suspend().into()),)*
                }
            }
        }

        impl<C> AnySuspended<C> {
            /// Resumes the flow under its contract.
            ///
            /// # Errors
            /// [`SuspendedError::AnotherState`] if flows of the contract's kind do not reach the state; otherwise what
            /// [`Suspended::resume`] returns.
            pub fn resume<K: Kind>(self, contract: &C, client: &Client) -> Result<AnyFlow<C>, Error>
            where
                C: Contract<Kind = K>,
            {
                let platform = contract::platform(contract, client);
                match self {
                    $(Self::$name(suspended) => {
                        reached::<K, $state>()?;
                        Ok(suspended.resumed(platform, false)?.into())
                    })*
                }
            }
        }
    };
}

states! {
    /// It waits for the callback of a one-off contract, which brings the postbox.
    AwaitingPostbox: AwaitingCallback<NoVerifier>,
    /// It waits for the callback of an ongoing contract, which brings a code.
    AwaitingCode: AwaitingCallback<Verifier>,
    /// It has the postbox of a one-off contract.
    WithPostbox: PostboxReady,
    /// It has a postbox and an access token.
    WithToken: Authorized,
}

/// Whether flows of a kind reach a state: [`Reaches`](super::Reaches) at run time.
fn reached<K: Kind, S: Durable<Kind: Kind>>() -> Result<(), SuspendedError> {
    let waiting = waiting_state::<K>();
    if waiting == waiting_state::<S::Kind>() {
        return Ok(());
    }
    Err(SuspendedError::AnotherState {
        found: S::NAME.to_owned(),
        wanted: waiting,
    })
}

/// The state in which a flow of this kind waits for its callback. Each kind has another.
fn waiting_state<K: Kind>() -> &'static str {
    <K::Verifier as MaybeVerifier>::STATE
}
