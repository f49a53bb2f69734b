use digime::Verifier;
use digime::kind::FlowKind;
use digime::tokens::TokenKind;
use digime::{Flow, Unstarted as PostboxUnstarted};

use crate::{AwaitingConsent, Connected, Unstarted};

/// The kind of contracts whose application pushes by import: `#[digime_contract(kind = Import)]`.
///
/// ```
/// use digime::{digime_contract, ApplicationId, Client, ContractId, Flow, PrivateKey, RedirectUri};
/// use digime_import::{Import, Unstarted};
///
/// #[digime_contract(kind = Import)]
/// struct Receipts {
///     application_id: ApplicationId,
///     contract_id: ContractId,
///     private_key: PrivateKey,
///     redirect_uri: RedirectUri,
/// }
///
/// fn begin(receipts: &Receipts, client: &Client) -> Flow<Receipts, Unstarted> {
///     receipts.flow(client)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Import {}

impl FlowKind for Import {
    type Start<C> = Unstarted;

    fn begin<C>(flow: Flow<C, PostboxUnstarted>) -> Flow<C, Unstarted> {
        flow.extend(|_| Unstarted::new())
    }
}

impl TokenKind for Import {
    type Awaiting = AwaitingConsent<Verifier>;
    type Granted = Connected;
}
