//! What an editor shows over a contract's struct, its alias and its `flow`: which states there are and what comes next.

use quote::ToTokens;
use syn::ext::IdentExt;

use crate::model::{Contract, Kind};

/// For the struct, behind its own documentation.
pub fn of_struct(model: &Contract) -> String {
    format!(
        "\n\nA digi.me contract, {}: [`flow`](Self::flow) begins a flow under it. {}",
        adjective(model),
        states_and_next(model)
    )
}

/// For the inherent method `flow`.
pub fn of_flow(model: &Contract) -> String {
    format!(
        "Begins a flow under the {} contract `{}`.\n\n{}",
        adjective(model),
        model.input.ident.unraw(),
        states_and_next(model)
    )
}

/// For the alias.
pub fn of_alias(model: &Contract) -> String {
    format!(
        "A [flow]({}::Flow) under the {} contract [`{}`], in a state.\n\n{}",
        path(model),
        adjective(model),
        model.input.ident.unraw(),
        states_and_next(model)
    )
}

fn adjective(model: &Contract) -> &'static str {
    model.kind.map_or("mistaken", Kind::adjective)
}

fn states_and_next(model: &Contract) -> String {
    let Some(kind) = model.kind else {
        return String::new();
    };
    let path = path(model);
    let link = |text: &str, item: &str| format!("[`{text}`]({path}::{item})");
    let (verifier, last, take) = match kind {
        Kind::Once => ("NoVerifier", "PostboxReady", "receive_postbox(callback)?"),
        Kind::Ongoing => ("Verifier", "Authorized", "exchange_code(callback).await?"),
    };
    let states = [
        link("Unstarted", "Unstarted"),
        link(&format!("AwaitingCallback<{verifier}>"), "AwaitingCallback"),
        link(last, last),
    ];
    format!(
        "Its states: {}. What comes next: `flow.establish_session().await?`, then \
         `flow.create_postbox(session).await?`, then `{take}`, then `push(item).await?`.",
        states.join(" → ")
    )
}

/// The path to the library, as links write it.
fn path(Contract { library, .. }: &Contract) -> String {
    library.to_token_stream().to_string().replace(' ', "")
}
