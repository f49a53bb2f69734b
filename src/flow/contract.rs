//! The traits that make a type a contract, and the kinds of contracts.

use std::sync::Arc;

use url::Url;

use super::grant::TokenKind;
use super::verifier::MaybeVerifier;
use super::{Authorized, AwaitingCallback, Flow, NoVerifier, Unstarted, Verifier};
use crate::contract::{ApplicationId, ContractId, Credentials, RedirectUri, Signer};
use crate::link;
use crate::platform::Platform;
use crate::platform::client::Client;

/// A digi.me contract: who the application is and what it may do.
///
/// [`#[digime_contract]`](crate::digime_contract) implements it for a struct. By hand it looks like this:
///
/// ```
/// use std::sync::Arc;
///
/// use digime::kind::Once;
/// use digime::{ApplicationId, Client, Contract, ContractId, Flow, OnceContract, PrivateKey, RedirectUri, Signer};
///
/// struct Welcome {
///     application_id: ApplicationId,
///     contract_id: ContractId,
///     private_key: PrivateKey,
///     redirect_uri: RedirectUri,
/// }
///
/// impl Contract for Welcome {
///     type Kind = Once;
///     fn application_id(&self) -> &ApplicationId {
///         &self.application_id
///     }
///     fn contract_id(&self) -> &ContractId {
///         &self.contract_id
///     }
///     fn private_key(&self) -> Arc<dyn Signer> {
///         self.private_key.shared()
///     }
///     fn redirect_uri(&self) -> &RedirectUri {
///         &self.redirect_uri
///     }
/// }
///
/// impl OnceContract for Welcome {}
///
/// fn begin(welcome: &Welcome, client: &Client) -> Flow<Welcome> {
///     welcome.flow(client)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a digi.me contract",
    label = "not a contract",
    note = "put `#[digime_contract(once)]` or `#[digime_contract(ongoing)]` on the struct that holds its ids, key and redirect URI"
)]
pub trait Contract {
    /// Whether the contract is [`Once`] or [`Ongoing`].
    type Kind;

    /// The application's id, issued by digi.me.
    fn application_id(&self) -> &ApplicationId;

    /// The contract's id, issued by digi.me.
    fn contract_id(&self) -> &ContractId;

    /// What signs every request: the contract's private key, or another [`Signer`].
    fn private_key(&self) -> Arc<dyn Signer>;

    /// Where the user's client calls back: one of the contract's registered redirect URIs.
    fn redirect_uri(&self) -> &RedirectUri;

    /// Begins a flow under the contract.
    ///
    /// The flow copies what it needs from the contract, so it keeps no borrow of it, and the contract need not be `Clone`.
    ///
    /// ```
    /// # use digime::{Client, Error, Flow, OngoingContract};
    /// # fn run<C: OngoingContract>(contract: &C) {
    /// let client = Client::new();
    /// let flow: Flow<C> = contract.flow(&client);
    /// # }
    /// ```
    fn flow(&self, client: &Client) -> Flow<Self>
    where
        Self: Sized,
    {
        Flow::begin(self, client)
    }

    /// The link that shows the user the receipt of their consent to the contract, in digi.me.
    ///
    /// ```
    /// # use digime::Contract;
    /// # fn run(contract: &impl Contract) {
    /// println!("your consent: {}", contract.receipt_url());
    /// # }
    /// ```
    #[doc(alias = "getReceiptUrl")]
    fn receipt_url(&self) -> Url {
        link::receipt_url(self.contract_id(), self.application_id())
    }
}

/// A one-off contract: one consent, one postbox, no access token.
///
/// Code that is generic over one-off contracts names it as a bound:
///
/// ```
/// use digime::{AwaitingCallback, Callback, Error, Flow, NoVerifier, OnceContract, PostboxReady};
///
/// fn receive<C: OnceContract>(
///     awaiting: Flow<C, AwaitingCallback<NoVerifier>>, callback: Callback,
/// ) -> Result<Flow<C, PostboxReady>, Error> {
///     Ok(awaiting.receive_postbox(callback)?)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to be a one-off contract",
    label = "only a one-off contract takes its postbox from the callback alone",
    note = "an ongoing contract's callback brings a code: call `exchange_code(callback).await?`"
)]
pub trait OnceContract: Contract<Kind = Once> {}

/// An ongoing contract: the user's consent lasts, as an access token that is refreshed.
///
/// Code that is generic over ongoing contracts names it as a bound:
///
/// ```
/// use digime::{Authorized, AwaitingCallback, Callback, Error, Flow, OngoingContract, Verifier};
///
/// async fn authorize<C: OngoingContract>(
///     awaiting: Flow<C, AwaitingCallback<Verifier>>, callback: Callback,
/// ) -> Result<Flow<C, Authorized>, Error> {
///     Ok(awaiting.exchange_code(callback).await?)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to be an ongoing contract",
    label = "only an ongoing contract has a code to exchange",
    note = "a one-off contract's callback brings the postbox itself: call `receive_postbox(callback)?`"
)]
pub trait OngoingContract: Contract<Kind = Ongoing> {}

/// The kind of a contract: [`Once`] or [`Ongoing`].
#[diagnostic::on_unimplemented(
    message = "whether the contract is one-off or ongoing is not known here",
    label = "how a postbox is asked for depends on it",
    note = "say which: `C: OnceContract`, whose callback brings the postbox, or `C: OngoingContract`, whose callback brings a code"
)]
pub trait Kind: sealed::Kind {
    /// What a flow of this kind holds while it waits for the callback: [`NoVerifier`], or a [`Verifier`].
    type Verifier: MaybeVerifier<Kind = Self>;
}

/// A kind of contract, and what its flow begins with: [`Once`], [`Ongoing`], or a kind that another library brings.
///
/// A library defines a type for its kind, and the state in which flows begin. `#[digime_contract(kind = …)]` on a struct
/// then generates a `flow` that begins in this state, and no call of another flow compiles.
///
/// ```
/// use digime::extend::ExtensionState;
/// use digime::kind::FlowKind;
/// use digime::{ApplicationId, Client, ContractId, Flow, PrivateKey, RedirectUri, Unstarted, digime_contract};
///
/// /// The kind of contracts whose flow begins with an invitation.
/// pub enum Invited {}
///
/// /// The state of a flow whose user was not invited yet.
/// pub struct Uninvited<C> {
///     flow: Flow<C, Unstarted>,
/// }
///
/// impl<C> ExtensionState for Uninvited<C> {}
///
/// impl FlowKind for Invited {
///     type Start<C> = Uninvited<C>;
///
///     fn begin<C>(flow: Flow<C, Unstarted>) -> Flow<C, Uninvited<C>> {
///         flow.extend(|flow| Uninvited { flow })
///     }
/// }
///
/// #[digime_contract(kind = Invited)]
/// struct Newsletter {
///     application_id: ApplicationId,
///     contract_id: ContractId,
///     private_key: PrivateKey,
///     redirect_uri: RedirectUri,
/// }
///
/// fn begin(newsletter: &Newsletter, client: &Client) -> Flow<Newsletter, Uninvited<Newsletter>> {
///     newsletter.flow(client)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kind of contract",
    label = "not a kind",
    note = "write `#[digime_contract(once)]`, `#[digime_contract(ongoing)]`, or the type that a library offers as a kind, which implements `digime::kind::FlowKind`"
)]
pub trait FlowKind {
    /// The state in which flows of contracts of this kind begin.
    type Start<C>;

    /// Begins a flow of this kind.
    fn begin<C>(flow: Flow<C, Unstarted>) -> Flow<C, Self::Start<C>>;
}

macro_rules! begins_unstarted {
    ($($kind:ty)*) => {
        $(
            impl FlowKind for $kind {
                type Start<C> = Unstarted;

                fn begin<C>(flow: Flow<C, Unstarted>) -> Flow<C, Unstarted> {
                    flow
                }
            }
        )*
    };
}

begins_unstarted!(Once Ongoing);

impl TokenKind for Ongoing {
    type Awaiting = AwaitingCallback<Verifier>;
    type Granted = Authorized;
}

/// The kind of a one-off contract.
#[derive(Clone, Copy, Debug)]
pub enum Once {}

/// The kind of an ongoing contract.
#[derive(Clone, Copy, Debug)]
pub enum Ongoing {}

impl Kind for Once {
    type Verifier = NoVerifier;
}

impl Kind for Ongoing {
    type Verifier = Verifier;
}

mod sealed {
    #[expect(unnameable_types, reason = "it seals a public trait")]
    pub trait Kind {}
    impl Kind for super::Once {}
    impl Kind for super::Ongoing {}
}

/// The platform for one contract.
pub(crate) fn platform(contract: &impl Contract, client: &Client) -> Platform {
    let credentials = Credentials {
        application_id: contract.application_id().clone(),
        contract_id: contract.contract_id().clone(),
        signer: contract.private_key(),
        redirect_uri: contract.redirect_uri().clone(),
    };
    Platform::new(Arc::new(credentials), client)
}
