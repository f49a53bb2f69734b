//! The attribute macro of the `digime` library. Use it as `digime::digime_contract`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod docs;
mod expand;
mod ide;
mod library;
mod model;
mod parse;
mod suggest;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;

/// Makes a struct a digi.me contract, with a flow in which only valid calls compile.
///
/// The first argument is the kind of the contract: `once` (one-off) or `ongoing`. A contract has four *roles*. Each role
/// is a field of that name, a field with the attribute `#[digime(role)]`, or a literal in the attribute:
///
/// | role | type | as a literal |
/// | --- | --- | --- |
/// | `application_id` | `ApplicationId` | yes |
/// | `contract_id` | `ContractId` | yes |
/// | `private_key` | `PrivateKey`, or any `Signer` that is `Clone` | no, a secret does not belong in source code |
/// | `redirect_uri` | `RedirectUri` | yes |
///
/// Other fields are yours. Literals are checked at compile time.
///
/// ```
/// use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri, digime_contract};
///
/// #[digime_contract(ongoing)]
/// #[derive(Clone, serde::Deserialize)]
/// struct Receipts {
///     application_id: ApplicationId,
///     contract_id: ContractId,
///     #[digime(private_key)]
///     signing_key: PrivateKey,
///     redirect_uri: RedirectUri,
///     shop: String,
/// }
///
/// #[digime_contract(
///     once,
///     application_id = "app-1",
///     contract_id = "c-1",
///     redirect_uri = "https://shop.example/digime"
/// )]
/// struct Welcome {
///     private_key: PrivateKey,
/// }
/// ```
///
/// For a struct `Receipts`, the attribute generates:
///
/// - `impl Contract for Receipts` and `impl OngoingContract for Receipts` (or `OnceContract`);
/// - `Receipts::flow(&self, &Client)`, which begins a flow, and `Receipts::receipt_url(&self)`;
/// - `type ReceiptsFlow<State = Unstarted> = Flow<Receipts, State>`.
///
/// Another library may bring a flow of its own, as a kind: `#[digime_contract(kind = a_library::Kind)]`. Then `flow` begins that
/// flow, and the alias begins in its first state.
///
/// If the `digime` library is renamed in `Cargo.toml`, or re-exported by another crate, give its path:
/// `crate = framework::digime`.
#[proc_macro_attribute]
pub fn digime_contract(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    contract(arguments.into(), item.into(), library::is_missing()).into()
}

fn contract(arguments: TokenStream, item: TokenStream, library_is_missing: bool) -> TokenStream {
    let mut mistakes = parse::Mistakes::default();
    let arguments = parse::arguments(arguments, &mut mistakes);
    let Some(item) = parse::item(item.clone(), &mut mistakes) else {
        return mistakes.beside(item);
    };
    let words = ide::Words::new(&arguments, &item);
    let model = model::Contract::new(arguments, item, library_is_missing, &mut mistakes);
    let generated = expand::contract(&model, &mut mistakes);
    let documented = words.documented_by(&model.library);
    mistakes.beside(quote!(#generated #documented))
}
