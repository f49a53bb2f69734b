//! The attribute from tokens to tokens: the generated code, and the errors about mistakes.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

/// The expansion, as formatted source.
fn generated(arguments: TokenStream, item: TokenStream) -> String {
    let tokens = super::contract(arguments, item, false);
    prettyplease::unparse(&syn::parse2(tokens).expect("items"))
}

/// The errors in the expansion, in order.
fn mistakes(arguments: TokenStream, item: TokenStream) -> Vec<String> {
    let source = generated(arguments, item);
    let errors = source.split("::core::compile_error! {").skip(1);
    errors
        .map(|rest| {
            let (text, _) = rest.trim_start().split_once("\"\n").expect("a message");
            text.trim_start_matches('"').replace("\\\"", "\"")
        })
        .collect()
}

fn all_roles() -> TokenStream {
    quote! {
        struct Receipts {
            application_id: ApplicationId,
            contract_id: ContractId,
            private_key: PrivateKey,
            redirect_uri: RedirectUri,
        }
    }
}

#[test]
fn a_struct_gets_its_impls_its_methods_and_its_alias() {
    let source = generated(quote!(ongoing), all_roles());
    for part in [
        "impl ::digime::Contract for Receipts {\n    type Kind = ::digime::kind::Ongoing;",
        "fn private_key(&self) -> ::std::sync::Arc<dyn ::digime::Signer> {",
        "impl ::digime::OngoingContract for Receipts {}",
        "fn flow(\n        &self,\n        client: &::digime::Client,\n    ) -> ::digime::Flow<Self, ::digime::Unstarted> {",
        "fn receipt_url(&self) -> ::digime::url::Url {",
        "type ReceiptsFlow<State = ::digime::Unstarted> = ::digime::Flow<Receipts, State>;",
    ] {
        assert!(source.contains(part), "{part}\n---\n{source}");
    }
    let once = generated(quote!(once), all_roles());
    assert!(
        once.contains("type Kind = ::digime::kind::Once;")
            && once.contains("impl ::digime::OnceContract"),
        "{once}"
    );
}

#[test]
fn the_struct_itself_is_unchanged_but_for_its_docs() {
    let source = generated(
        quote!(once),
        quote! {
            /// Docs.
            #[derive(Clone)]
            pub(crate) struct A<'a, T: Clone = u8, const N: usize = 3> where T: Copy {
                #[serde(default)] application_id: ApplicationId,
                contract_id: ContractId,
                #[digime(private_key)] #[serde(skip)] key: PrivateKey,
                redirect_uri: RedirectUri,
                own: &'a [T; N],
            }
        },
    );
    assert!(
        source.starts_with("/// Docs.\n#[derive(Clone)]\n/**\n\nA digi.me contract, one-off:"),
        "{source}"
    );
    for part in [
        "pub(crate) struct A<'a, T: Clone = u8, const N: usize = 3>",
        "    #[serde(skip)]\n    key: PrivateKey,",
        "impl<'a, T: Clone, const N: usize> ::digime::Contract for A<'a, T, N>\nwhere\n    T: Copy,",
        "pub(crate) type AFlow<'a, T = u8, const N: usize = 3, State = ::digime::Unstarted> =",
        "pub(crate) fn flow(",
        "(&self.key)",
    ] {
        assert!(source.contains(part), "{part}\n---\n{source}");
    }
}

#[test]
fn a_kind_of_another_library_says_where_the_flow_begins() {
    let code = generated(quote!(kind = other::Kind<u8>), all_roles());
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "type Kind = other::Kind<u8>;",
        "<other::Kind<u8> as ::digime::kind::FlowKind>::Start<Self>",
        "<other::Kind<u8> as ::digime::kind::FlowKind>::Start<Receipts>",
    ] {
        assert!(code.contains(part), "{part} is not in {code}");
    }
    assert!(
        !code.contains("OnceContract") && !code.contains("OngoingContract"),
        "{code}"
    );
}

#[test]
fn literals_and_another_path_are_accepted() {
    let source = generated(
        quote!(
            once,
            crate = a::digime,
            application_id = "app-1",
            contract_id = r"c",
            redirect_uri = "https://a.example"
        ),
        quote!(
            struct A {
                private_key: PrivateKey,
            }
        ),
    );
    assert!(
        source.contains("a::digime::__private::literal(\"app-1\")"),
        "{source}"
    );
    assert!(
        source.contains("impl a::digime::Contract for A"),
        "{source}"
    );
    assert!(
        !source.replace("a::digime", "").contains("::digime"),
        "{source}"
    );
}

#[test]
fn the_alias_avoids_names_that_the_struct_uses() {
    let source = generated(
        quote!(once),
        quote! {
            struct r#A<State, State_> {
                application_id: I, contract_id: C, private_key: P, redirect_uri: R, a: State, b: State_,
            }
        },
    );
    assert!(
        source.contains("type AFlow<State, State_, State__ = ::digime::Unstarted>"),
        "{source}"
    );
}

#[test]
fn each_mistake_in_the_arguments_is_reported() {
    for (arguments, error) in [
        (
            quote!(),
            "say which kind the contract is: `#[digime_contract(once)]` or `#[digime_contract(ongoing)]`",
        ),
        (
            quote!(one_off),
            "unknown kind of contract `one_off`: did you mean `once`?",
        ),
        (
            quote!(oneoff),
            "unknown kind of contract `oneoff`: did you mean `once`?",
        ),
        (
            quote!(ongoin),
            "unknown kind of contract `ongoin`: did you mean `ongoing`?",
        ),
        (
            quote!(forever),
            "unknown kind of contract `forever`: expected `once` or `ongoing`",
        ),
        (
            quote!(import),
            "unknown kind of contract `import`: did you mean `kind = digime_import::Import`?",
        ),
        (
            quote!("import"),
            "unknown kind of contract `import`: did you mean `kind = digime_import::Import`?",
        ),
        (
            quote!(one - time),
            "unknown kind of contract `one_time`: did you mean `once`?",
        ),
        (
            quote!(once ongoing),
            "unexpected tokens: expected `,` or the end of the arguments",
        ),
        (quote!(once, once), "`once` is given twice: keep one"),
        (
            quote!(once, ongoing),
            "a contract is `once` or `ongoing`, not both: keep one",
        ),
        (
            quote!(once, crate = a, crate = b),
            "`crate` is given twice: keep one",
        ),
        (
            quote!("once"),
            "the kind is a bare word, not a string: write `once` without quotes",
        ),
        (
            quote!(once = true),
            "`once` takes no value: write just `once`",
        ),
        (
            quote!(kind = once),
            "the kind is a bare word: write just `once` or `ongoing`",
        ),
        (
            quote!(once, kind = a::Kind),
            "a contract is `once` or `kind`, not both: keep one",
        ),
        (
            quote!(kind = a::Kind, kind = b::Kind),
            "a contract has one kind: keep one",
        ),
        (
            quote!(once, crate = "a"),
            "`crate` takes a path, without quotes: `crate = framework::digime`",
        ),
        (
            quote!(once, contract_ids = "c"),
            "unknown argument `contract_ids`: did you mean `contract_id`?",
        ),
        (
            quote!(once, shop = "c"),
            "unknown argument `shop`: expected `application_id`, `contract_id`, `redirect_uri` or `crate`",
        ),
        (
            quote!(once, redirect_uri),
            "`redirect_uri` needs a value, as in `redirect_uri = \"…\"`; or make it a field",
        ),
        (
            quote!(once, private_key),
            "a private key is a secret and does not belong in source code: make it a field, `private_key: PrivateKey`, and read it when the program starts",
        ),
        (
            quote!(once, contract_id = "c"),
            "`contract_id` is given here and as a field: keep one",
        ),
    ] {
        assert_eq!(
            mistakes(arguments.clone(), all_roles()),
            [error],
            "{arguments}"
        );
    }
}

#[test]
fn each_mistake_in_a_literal_is_reported() {
    let without = |name: &str| {
        let source = all_roles().to_string();
        let at = source.find(name).expect("the role");
        let end = at + source[at..].find(',').expect("its end") + 1;
        format!("{}{}", &source[..at], &source[end..])
            .parse::<TokenStream>()
            .expect("tokens")
    };
    for (role, value, error) in [
        (
            "application_id",
            quote!(""),
            "the id is empty: copy it from the contract that digi.me issued",
        ),
        (
            "contract_id",
            quote!(" c"),
            "the id has whitespace around it: remove the whitespace",
        ),
        (
            "contract_id",
            quote!(3),
            "`contract_id` takes a string literal, as in `contract_id = \"…\"`; for any other value, make it a field",
        ),
        (
            "redirect_uri",
            quote!("/a"),
            "the redirect URI is relative: write an absolute URI, such as `https://shop.example/digime`",
        ),
        (
            "private_key",
            quote!("k"),
            "a private key is a secret and does not belong in source code: make it a field, `private_key: PrivateKey`, and read it when the program starts",
        ),
    ] {
        let name: TokenStream = role.parse().expect("a name");
        assert_eq!(
            mistakes(quote!(once, #name = #value), without(role)),
            [error],
            "{value}"
        );
    }
}

#[test]
fn each_mistake_in_the_struct_is_reported() {
    assert_eq!(
        mistakes(
            quote!(once),
            quote!(
                struct A;
            )
        ),
        [
            "the contract's `application_id`, `contract_id`, `private_key`, `redirect_uri` are missing: add the fields \
          `application_id: ApplicationId`, `contract_id: ContractId`, `private_key: PrivateKey`, \
          `redirect_uri: RedirectUri`, or mark other fields with `#[digime(role)]`"
        ]
    );
    assert_eq!(
        mistakes(
            quote!(once, contract_id = "c", redirect_uri = "https://a.example"),
            quote! {
                struct A { private_key: P }
            }
        ),
        [
            "the contract's `application_id` is missing: add a field `application_id: ApplicationId`, or mark one with \
          `#[digime(application_id)]`, or give `application_id = \"…\"` in the attribute"
        ]
    );
    assert_eq!(
        mistakes(quote!(once), quote! {
            struct A { aplication_id: I, contract_id: C, key: a::PrivateKey, redirect_uri: R }
        }),
        ["application_id", "private_key"].map(|name| format!(
            "the contract's `{name}` is missing: if this field is it, mark it with `#[digime({name})]` or name it `{name}`"
        ))
    );
    let fields = quote!(application_id: I, contract_id: C, private_key: P, redirect_uri: R);
    for (more, error) in [
        (
            quote!(#[digime(private_key)] a: P),
            "another field has the role `private_key` already: remove one of the two",
        ),
        (
            quote!(#[digime(privat_key)] a: P),
            "unknown role `privat_key`: did you mean `private_key`?",
        ),
        (
            quote!(#[digime(shop)] a: P),
            "unknown role `shop`: expected `application_id`, `contract_id`, `private_key` or `redirect_uri`",
        ),
        (
            quote!(#[digime] a: P),
            "say which role the field has, as in `#[digime(private_key)]`",
        ),
        (
            quote!(#[digime()] a: P),
            "say which role the field has, as in `#[digime(private_key)]`",
        ),
    ] {
        assert_eq!(
            mistakes(quote!(once), quote!(struct A { #fields, #more })),
            [error],
            "{more}"
        );
    }
}

#[test]
fn all_mistakes_are_reported_at_once_and_the_struct_still_exists() {
    let arguments = quote!(onc, contract_id = "", shop = 1);
    let source = generated(
        arguments.clone(),
        quote!(
            pub struct A {
                application_id: I,
                redirect_uri: R,
            }
        ),
    );
    assert!(
        source.contains("pub struct A {") && source.contains("impl ::digime::OnceContract for A"),
        "{source}"
    );
    assert_eq!(
        mistakes(
            arguments,
            quote!(
                pub struct A {
                    application_id: I,
                    redirect_uri: R,
                }
            )
        )
        .len(),
        4
    );
}

#[test]
fn each_word_names_an_item_that_editors_show() {
    let item = quote! {
        struct A { application_id: I, contract_id: C, #[digime(private_key)] key: P, #[digime(redir)] uri: R }
    };
    let source = generated(
        quote!(ongoing, crate = a::digime, contract_id = "c", on),
        item,
    );
    for part in [
        "use a::digime::__private::ide::*;",
        "let _: (\n            arguments::ongoing,\n            arguments::contract_id,\n            arguments::on,\n            \
         roles::private_key,\n            roles::redir,\n        );",
    ] {
        assert!(source.contains(part), "{part}\n---\n{source}");
    }
}

#[test]
fn code_for_editors_is_an_eighth_of_the_expansion_at_most() {
    let whole = super::contract(quote!(ongoing), all_roles(), false);
    let is_const = |token: &TokenTree| token.to_string() == "const";
    let for_editors = whole
        .clone()
        .into_iter()
        .skip_while(|token| !is_const(token));
    let (whole, for_editors) = (count(whole), count(for_editors.collect()));
    assert!(
        for_editors > 0 && for_editors * 8 <= whole,
        "{for_editors} of {whole}"
    );
}

fn count(tokens: TokenStream) -> usize {
    let sizes = tokens.into_iter().map(|token| match token {
        TokenTree::Group(group) => 2 + count(group.stream()),
        _ => 1,
    });
    sizes.sum()
}
