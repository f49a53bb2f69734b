//! Completion and documentation in an editor, inside `#[digime_contract(…)]` and `#[digime(…)]`.
//!
//! rust-analyzer does not know which words an attribute takes. It finds each token that the user wrote in the expansion,
//! and completes and documents it as what it is there. So the expansion names each word as an item of a module that
//! documents all the words.
//!
//! rustc removes code under `cfg(rust_analyzer)` before it resolves names, so a misspelt word causes no second error. In
//! rust-analyzer the words are types: it does not report an unknown type, as it does an unknown import.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::Path;

use crate::parse::{Argument, Item};

/// The words that a user wrote in the attributes, right or wrong.
pub(crate) struct Words {
    arguments: Vec<Ident>,
    roles: Vec<Ident>,
}

impl Words {
    pub(crate) fn new(arguments: &[Argument], item: &Item) -> Self {
        let arguments = arguments.iter().filter_map(|argument| match argument {
            Argument::Word(name) | Argument::Value(name, _) => Some(name),
            Argument::String(_) => None,
        });
        let roles = item.fields.iter().flatten().flat_map(|field| &field.roles);
        Self {
            arguments: without_keywords(arguments),
            roles: without_keywords(roles),
        }
    }

    /// Names the item that documents each word.
    pub(crate) fn documented_by(&self, library: &Path) -> TokenStream {
        let Self { arguments, roles } = self;
        quote! {
            // Cargo does not know the name `rust_analyzer`.
            #[allow(unexpected_cfgs)]
            const _: () = {
                #[cfg(rust_analyzer)]
                {
                    use #library::__private::ide::*;
                    let _: (#(arguments::#arguments,)* #(roles::#roles,)*);
                }
            };
        }
    }
}

/// The words that can name an item, which `crate` can't.
fn without_keywords<'a>(words: impl Iterator<Item = &'a Ident>) -> Vec<Ident> {
    let is_keyword = |word: &Ident| syn::parse2::<Ident>(word.to_token_stream()).is_err();
    words.filter(|word| !is_keyword(word)).cloned().collect()
}
