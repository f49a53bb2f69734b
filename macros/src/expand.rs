//! The generated code: the impls, inherent methods and type alias that a person could write by hand.
//!
//! Every path is absolute, so the code does not depend on what is in scope at the attribute.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, GenericParam, Generics, Path, Visibility, parse_quote};

use crate::docs;
use crate::model::{Contract, Kind, Role, Source};
use crate::parse::Mistakes;

/// The struct, and everything that makes it a contract.
pub(crate) fn contract(model: &Contract, mistakes: &mut Mistakes) -> TokenStream {
    let Contract {
        library,
        input,
        roles,
        ..
    } = model;
    let DeriveInput {
        ident, generics, ..
    } = input;
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let kind = kind(model, mistakes);
    let kind_traits = kind_traits(model.kind.as_ref());
    let role_methods = roles
        .iter()
        .map(|(role, source)| role_method(library, *role, source));
    let inherent = inherent_methods(model);
    let alias = alias(model);
    let mut documented = input.clone();
    let docs = docs::of_struct(model);
    documented.attrs.push(parse_quote!(#[doc = #docs]));
    quote! {
        #documented

        #[automatically_derived]
        impl #impl_generics #library::Contract for #ident #type_generics #where_clause {
            type Kind = #kind;
            #(#role_methods)*
        }

        #(
            #[automatically_derived]
            impl #impl_generics #library::#kind_traits for #ident #type_generics #where_clause {}
        )*

        impl #impl_generics #ident #type_generics #where_clause {
            #inherent
        }

        #alias
    }
}

/// The type of the kind, or all mistakes in its place if the kind can't be known.
fn kind(Contract { kind, library, .. }: &Contract, mistakes: &mut Mistakes) -> TokenStream {
    match kind {
        Some(Kind::Once) => quote!(#library::kind::Once),
        Some(Kind::Ongoing) => quote!(#library::kind::Ongoing),
        Some(Kind::Other(path)) => quote!(#path),
        None => mistakes.take_as_type(),
    }
}

/// The traits of the kind. If it can't be known, the traits of every kind, so that rustc reports none as missing.
fn kind_traits(kind: Option<&Kind>) -> Vec<Ident> {
    let traits: &[&str] = match kind {
        Some(Kind::Once) => &["OnceContract"],
        Some(Kind::Ongoing) => &["OngoingContract"],
        Some(Kind::Other(_)) => &[],
        None => &["OnceContract", "OngoingContract"],
    };
    traits.iter().map(|name| format_ident!("{name}")).collect()
}

fn role_method(library: &Path, role: Role, source: &Source) -> TokenStream {
    // Editors go from the method to its span: the field or the literal.
    let defined_at = match source {
        Source::Field { member, .. } => member.span(),
        Source::Literal(literal) => literal.span(),
        Source::Mistaken => Span::call_site(),
    };
    let method = format_ident!("{}", role.name(), span = defined_at);
    let type_name = format_ident!("{}", role.type_name());
    let role_trait = format_ident!("Is{}", role.type_name());
    let returned = if role == Role::PrivateKey {
        quote!(::std::sync::Arc<dyn #library::Signer>)
    } else {
        quote!(&#library::#type_name)
    };
    let body = match source {
        // An error about the type points at the type.
        Source::Field { member, ty } => {
            quote_spanned!(at(ty)=> <#ty as #library::roles::#role_trait>::role(&self.#member))
        }
        Source::Literal(literal) => quote! {
            static LITERAL: #library::__private::LazyLock<#library::#type_name> =
                #library::__private::lazy(|| #library::__private::literal(#literal));
            &LITERAL
        },
        Source::Mistaken => quote!(::core::unreachable!("the attribute has a mistake")),
    };
    quote! {
        fn #method(&self) -> #returned {
            #body
        }
    }
}

fn inherent_methods(model: &Contract) -> TokenStream {
    let Contract { library, input, .. } = model;
    let visibility = &input.vis;
    let flow_docs = docs::of_flow(model);
    let flow = if let Some(Kind::Other(kind)) = &model.kind {
        flow_of_a_library(library, kind, visibility)
    } else {
        quote! {
            #[must_use = "a flow does nothing until it is used; the next step is `flow.establish_session().await?`"]
            #[allow(dead_code)]
            #visibility fn flow(&self, client: &#library::Client) -> #library::Flow<Self, #library::Unstarted> {
                #library::Contract::flow(self, client)
            }
        }
    };
    quote! {
        #[doc = #flow_docs]
        #flow

        /// The link that opens the receipt of the user's consent to this contract in digi.me.
        #[allow(dead_code)]
        #visibility fn receipt_url(&self) -> #library::url::Url {
            #library::Contract::receipt_url(self)
        }
    }
}

fn alias(model: &Contract) -> TokenStream {
    let Contract { library, input, .. } = model;
    let DeriveInput {
        ident,
        vis,
        generics,
        ..
    } = input;
    let alias = format_ident!("{}Flow", ident.unraw(), span = ident.span());
    let state = unused_name(generics);
    let parameters = generics.params.iter().map(without_bounds);
    let (_, type_generics, _) = generics.split_for_impl();
    let docs = docs::of_alias(model);
    let start = if let Some(Kind::Other(kind)) = &model.kind {
        start(library, kind, &quote!(#ident #type_generics))
    } else {
        quote!(#library::Unstarted)
    };
    quote! {
        #[doc = #docs]
        #[allow(dead_code)]
        #vis type #alias<#(#parameters,)* #state = #start> = #library::Flow<#ident #type_generics, #state>;
    }
}

/// The method that begins a flow of a library's kind.
///
/// All of it is at the path of the kind. rustc reports a wrong kind wherever it looks for the start, but the same error at the same
/// place only once.
fn flow_of_a_library(library: &Path, kind: &Path, visibility: &Visibility) -> TokenStream {
    let start = start(library, kind, &quote!(Self));
    let library = located_at(at(kind), library);
    quote_spanned! {at(kind)=>
        #[must_use = "a flow does nothing until it is used"]
        #[allow(dead_code)]
        #visibility fn flow(&self, client: &#library::Client) -> #library::Flow<Self, #start> {
            <#kind as #library::kind::FlowKind>::begin(#library::Contract::flow(self, client))
        }
    }
}

/// The state in which flows of a library's kind begin. An error about the kind points at the path that the user wrote.
fn start(library: &Path, kind: &Path, contract: &TokenStream) -> TokenStream {
    quote_spanned!(at(kind)=> <#kind as #library::kind::FlowKind>::Start<#contract>)
}

/// The path, as if it were written at another place. Names are resolved as before.
fn located_at(place: Span, path: &Path) -> TokenStream {
    let tokens = path.to_token_stream().into_iter();
    tokens
        .map(|mut token| {
            token.set_span(token.span().located_at(place));
            token
        })
        .collect()
}

/// The place of what the user wrote. Names are resolved like those in the code around it: what comes from a `macro_rules!` has
/// another scope, in which there is no `self`.
fn at(written: &impl Spanned) -> Span {
    written.span().resolved_at(Span::call_site())
}

/// A parameter without its bounds: rustc does not check bounds in a type alias, and warns about them.
fn without_bounds(parameter: &GenericParam) -> GenericParam {
    let mut parameter = parameter.clone();
    match &mut parameter {
        GenericParam::Type(parameter) => {
            parameter.colon_token = None;
            parameter.bounds.clear();
            parameter.attrs.clear();
        }
        GenericParam::Lifetime(parameter) => {
            parameter.colon_token = None;
            parameter.bounds.clear();
            parameter.attrs.clear();
        }
        GenericParam::Const(parameter) => parameter.attrs.clear(),
    }
    parameter
}

/// A name for the state parameter of the alias that no parameter of the struct has.
fn unused_name(generics: &Generics) -> Ident {
    let mut name = format_ident!("State");
    let used = |name: &Ident| {
        generics
            .type_params()
            .any(|parameter| parameter.ident == *name)
            || generics
                .const_params()
                .any(|parameter| parameter.ident == *name)
    };
    while used(&name) {
        name = format_ident!("{name}_");
    }
    name
}
