//! Documentation for a contract's struct, alias and `flow`: the states of its flow, and the calls between them.

use quote::ToTokens;
use syn::ext::IdentExt;

use crate::model::{Contract, Kind};

/// For the struct, after its own documentation.
pub(crate) fn of_struct(model: &Contract) -> String {
    format!(
        "\n\nA digi.me contract, {}: [`flow`](Self::flow) begins a flow under it. {}",
        adjective(model),
        states_and_next(model)
    )
}

/// For the inherent method `flow`.
pub(crate) fn of_flow(model: &Contract) -> String {
    format!(
        "Begins a flow under the {} contract `{}`.\n\n{}",
        adjective(model),
        model.input.ident.unraw(),
        states_and_next(model)
    )
}

/// For the alias.
pub(crate) fn of_alias(model: &Contract) -> String {
    format!(
        "A {} under the {} contract [`{}`], in a state.\n\n{}",
        link(model, "flow", "Flow"),
        adjective(model),
        model.input.ident.unraw(),
        states_and_next(model)
    )
}

/// What a contract of this kind is called.
fn adjective(model: &Contract) -> String {
    match &model.kind {
        Some(Kind::Once) => "one-off".to_owned(),
        Some(Kind::Ongoing) => "ongoing".to_owned(),
        Some(Kind::Other(path)) => {
            let path = path.to_token_stream().to_string().replace(' ', "");
            format!("[`{path}`]({path})")
        }
        None => "mistaken".to_owned(),
    }
}

fn states_and_next(model: &Contract) -> String {
    let (verifier, last, take) = match model.kind {
        Some(Kind::Once) => ("NoVerifier", "PostboxReady", "receive_postbox(callback)?"),
        Some(Kind::Ongoing) => ("Verifier", "Authorized", "exchange_code(callback).await?"),
        Some(Kind::Other(_)) | None => return String::new(),
    };
    let states = [
        link(model, "`Unstarted`", "Unstarted"),
        link(
            model,
            &format!("`AwaitingCallback<{verifier}>`"),
            "AwaitingCallback",
        ),
        link(model, &format!("`{last}`"), last),
    ];
    format!(
        "Its states: {}. What comes next: `flow.establish_session().await?`, then \
         `flow.create_postbox(session).await?`, then `{take}`, then `push(item).await?`.",
        states.join(" → ")
    )
}

fn link(Contract { library, .. }: &Contract, text: &str, item: &str) -> String {
    link_in(&library.to_token_stream().to_string(), text, item)
}

/// A link to an item of the library, or plain text where the path to the library begins with the `$crate` of a
/// `macro_rules!`: a link can't name that.
fn link_in(library: &str, text: &str, item: &str) -> String {
    if library.starts_with('$') {
        text.to_owned()
    } else {
        format!("[{text}]({}::{item})", library.replace(' ', ""))
    }
}

#[cfg(test)]
mod tests {
    use super::link_in;

    #[test]
    fn items_are_links_unless_the_path_to_the_library_is_unspeakable() {
        let linked = link_in(":: digime", "flow", "Flow");
        assert_eq!(linked, "[flow](::digime::Flow)");
        assert_eq!(link_in("$crate :: digime", "flow", "Flow"), "flow");
    }
}
