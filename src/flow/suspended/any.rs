//! Flows whose state is known only at run time.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{ContractIds, Head, LONGEST_SHOWN};
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
        let head = Head::from_json(json)?;
        Ok(Self {
            contract: head.contract()?,
            state: head.state,
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

        impl<C, D> fmt::Debug for AnySuspended<C, D> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name(suspended) => suspended.fmt(f),)*
                }
            }
        }

        impl<C> fmt::Debug for AnyFlow<C> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::NotStarted(flow) => flow.fmt(f),
                    $(Self::$name(flow) => flow.fmt(f),)*
                }
            }
        }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PostboxItem;
    use crate::platform::scripted::{self, Receipts};

    /// A flow that waits for its callback, and one that is authorized, of a platform that refuses nothing.
    async fn flows(
        client: &Client,
    ) -> (
        Flow<Receipts, AwaitingCallback<Verifier>>,
        Flow<Receipts, Authorized>,
    ) {
        let begin = async || {
            let flow = scripted::receipts().flow(client);
            let session = flow.establish_session().await.expect("a session");
            flow.create_postbox(session).await.expect("a link")
        };
        let authorized = begin().await;
        let callback = scripted::callback(authorized.state(), "p");
        let authorized = authorized.exchange_code(callback).await.expect("tokens");
        (begin().await, authorized)
    }

    #[tokio::test]
    async fn rows_of_any_state_are_resumed_as_what_they_are() {
        let client = scripted::client(scripted::good).build().expect("a client");
        let (awaiting, authorized) = flows(&client).await;
        let known: [AnyFlow<Receipts>; 3] = [
            scripted::receipts().flow(&client).into(),
            awaiting.into(),
            authorized.into(),
        ];
        let names = known.each_ref().map(AnyFlow::state_name);
        assert_eq!(
            names,
            ["Unstarted", "AwaitingCallback<Verifier>", "Authorized"]
        );

        let rows = known.into_iter().filter_map(AnyFlow::suspend);
        let rows: Vec<String> = rows.map(|flow| flow.to_json().expect("text")).collect();
        assert_eq!(rows.len(), 2, "an unstarted flow has nothing to keep");
        for (row, name) in rows.iter().zip(&names[1..]) {
            let head = SuspendedHead::from_json(row).expect("a head");
            assert_eq!(
                (head.state(), head.contract_id(), head.application_id()),
                (*name, "receipts", "shop")
            );
            let suspended = AnySuspended::<Receipts>::from_json(row).expect("a flow");
            assert_eq!(suspended.state_name(), *name);
            let flow = suspended
                .resume(&scripted::receipts(), &client)
                .expect("the flow");
            assert_eq!(flow.state_name(), *name);
            if let AnyFlow::WithToken(authorized) = flow {
                let delivery = authorized.push(PostboxItem::bytes("a", "b")).await;
                assert!(delivery.is_ok(), "{delivery:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_row_of_the_other_kind_of_contract_is_not_resumed() {
        let client = scripted::client(scripted::good).build().expect("a client");
        let (_, authorized) = flows(&client).await;
        let row = authorized.suspend().to_json().expect("text");
        let suspended = AnySuspended::<Welcome>::from_json(&row).expect("a flow");
        let error = suspended
            .resume(&Welcome(scripted::receipts()), &client)
            .expect_err("a one-off contract");
        assert!(
            matches!(error, Error::Suspended(SuspendedError::AnotherState { .. })),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_row_that_is_no_flow_of_this_library_says_so() {
        let client = scripted::client(scripted::good).build().expect("a client");
        let (_, authorized) = flows(&client).await;
        let row = authorized.suspend().to_json().expect("text");
        for (row, error) in [
            (
                row.replace("\"Authorized\"", "\"a::Approved@3\""),
                "in the state `a::Approved@3`",
            ),
            (
                row.replace("\"fmt\":1", "\"fmt\":9"),
                "later version of digime (format 9)",
            ),
            (
                r#"{"fmt":9,"state":"Authorized","contract":"shop/receipts"}"#.to_owned(),
                "later version of digime (format 9)",
            ),
            ("no JSON".to_owned(), "damaged"),
        ] {
            let refused =
                AnySuspended::<Receipts>::from_json(&row).expect_err("no flow of this library");
            assert!(refused.to_string().contains(error), "{refused}");
        }
    }

    /// The same ids under a one-off contract.
    struct Welcome(Receipts);

    impl Contract for Welcome {
        type Kind = crate::kind::Once;

        fn application_id(&self) -> &crate::ApplicationId {
            self.0.application_id()
        }

        fn contract_id(&self) -> &crate::ContractId {
            self.0.contract_id()
        }

        fn private_key(&self) -> std::sync::Arc<dyn crate::Signer> {
            self.0.private_key()
        }

        fn redirect_uri(&self) -> &crate::RedirectUri {
            self.0.redirect_uri()
        }
    }
}
