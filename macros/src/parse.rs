//! Parses the attribute's arguments and the item below it. What they mean is decided later, in `model`.
//!
//! Parsing does not stop at the first mistake: each one is recorded with its own token, and parsing continues after it.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Expr, Field, Fields, LitStr, Member, Path, Token, Type};

/// The mistakes found so far. All of them are reported together.
#[derive(Default)]
pub(crate) struct Mistakes(Option<syn::Error>);

impl Mistakes {
    /// Records a mistake, to be shown at `tokens`.
    pub(crate) fn add(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Records a mistake, to be shown at `span`.
    pub(crate) fn add_at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// Reports all mistakes in place of a type that can't be known. rustc then reports nothing else about code that uses
    /// the type. The errors are in the length of an array: rustc replaces an erroneous type by `()`, but treats an array
    /// with an erroneous length as unknown.
    pub(crate) fn take_as_type(&mut self) -> TokenStream {
        let errors = self.0.take().into_iter().flatten();
        let errors = errors.map(|error| error.to_compile_error());
        quote!([(); { #(#errors)* }])
    }

    /// The generated tokens, and the errors for the mistakes.
    pub(crate) fn beside(self, generated: impl ToTokens) -> TokenStream {
        let errors = self.0.map(syn::Error::into_compile_error);
        quote!(#errors #generated)
    }
}

/// One argument of the attribute.
pub(crate) enum Argument {
    /// `word`
    Word(Ident),
    /// `name = value`
    Value(Ident, Value),
    /// `"string"`, which is always a mistake.
    String(LitStr),
}

/// The value of an argument.
pub(crate) enum Value {
    /// `crate = path` or `kind = path`
    Path(Path),
    /// `name = expression`, which is valid only for string literals.
    Expr(Expr),
}

/// Reads the arguments of `#[digime_contract(…)]`.
pub(crate) fn arguments(tokens: TokenStream, mistakes: &mut Mistakes) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let read = |input: ParseStream| {
        while !input.is_empty() {
            let argument = argument(input);
            let more = tokens_to_comma(input)?;
            match argument {
                Ok(argument) => {
                    arguments.push(argument);
                    if !more.is_empty() {
                        mistakes.add(
                            more,
                            "unexpected tokens: expected `,` or the end of the arguments",
                        );
                    }
                }
                Err(error) => mistakes.push(error),
            }
        }
        Ok(())
    };
    if let Err(error) = read.parse2(tokens) {
        mistakes.push(error);
    }
    arguments
}

fn argument(input: ParseStream) -> syn::Result<Argument> {
    if input.peek(LitStr) {
        return input.parse().map(Argument::String);
    }
    let name = hyphenated(input)?;
    if !input.peek(Token![=]) {
        return Ok(Argument::Word(name));
    }
    input.parse::<Token![=]>()?;
    let value = match name.to_string().as_str() {
        "crate" if !input.peek(LitStr) => Value::Path(input.call(Path::parse_mod_style)?),
        "kind" if !input.peek(LitStr) => Value::Path(input.parse()?),
        _ => Value::Expr(input.parse()?),
    };
    Ok(Argument::Value(name, value))
}

/// A word. `one-time` is read as `one_time`, so that the right word can be suggested.
fn hyphenated(input: ParseStream) -> syn::Result<Ident> {
    let mut word = input.call(Ident::parse_any)?;
    while input.peek(Token![-]) {
        input.parse::<Token![-]>()?;
        let next = input.call(Ident::parse_any)?;
        word = Ident::new(&format!("{word}_{next}"), word.span());
    }
    Ok(word)
}

fn tokens_to_comma(input: ParseStream) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    input.parse::<Option<Token![,]>>()?;
    Ok(tokens)
}

/// The item below the attribute, without the `#[digime(…)]` attributes of its fields.
pub(crate) struct Item {
    pub input: DeriveInput,
    /// `None` if the item is not a struct, which is a recorded mistake.
    pub fields: Option<Vec<RoleField>>,
}

/// A field, and the roles in its `#[digime(…)]`.
pub(crate) struct RoleField {
    pub member: Member,
    pub ty: Type,
    pub roles: Vec<Ident>,
}

impl RoleField {
    /// The last name in the path of its type. A `macro_rules!` fragment such as `$ty:ty` is in an invisible group.
    pub(crate) fn type_name(&self) -> Option<&Ident> {
        let mut ty = &self.ty;
        while let Type::Group(group) = ty {
            ty = &group.elem;
        }
        match ty {
            Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
            _ => None,
        }
    }
}

/// Reads the item. Returns `None` if it is not a type.
pub(crate) fn item(tokens: TokenStream, mistakes: &mut Mistakes) -> Option<Item> {
    const EXPECTED_A_STRUCT: &str =
        "a digi.me contract is a struct, with the contract's ids, key and redirect URI as fields";
    let Ok(mut input) = syn::parse2::<DeriveInput>(tokens.clone()) else {
        mistakes.add(first_after_attributes(tokens), EXPECTED_A_STRUCT);
        return None;
    };
    let fields = match &mut input.data {
        Data::Struct(data) => Some(fields(&mut data.fields, mistakes)),
        Data::Enum(data) => {
            mistakes.add(data.enum_token, EXPECTED_A_STRUCT);
            None
        }
        Data::Union(data) => {
            mistakes.add(data.union_token, EXPECTED_A_STRUCT);
            None
        }
    };
    Some(Item { input, fields })
}

/// The first tokens after the attributes, so that an error points at the item and not at its docs.
fn first_after_attributes(tokens: TokenStream) -> TokenStream {
    let read = |input: ParseStream| {
        input.call(Attribute::parse_outer)?;
        input.parse::<TokenStream>()
    };
    read.parse2(tokens.clone())
        .unwrap_or(tokens)
        .into_iter()
        .take(2)
        .collect()
}

fn fields(fields: &mut Fields, mistakes: &mut Mistakes) -> Vec<RoleField> {
    fields
        .iter_mut()
        .enumerate()
        .map(|(position, field)| {
            let roles = take_roles(field, mistakes);
            let member = match &field.ident {
                Some(name) => Member::Named(name.clone()),
                None => Member::Unnamed(syn::Index {
                    index: u32::try_from(position).unwrap_or(u32::MAX),
                    span: field.ty.span(),
                }),
            };
            RoleField {
                member,
                ty: field.ty.clone(),
                roles,
            }
        })
        .collect()
}

/// Removes the `#[digime(…)]` attributes from a field and returns the roles in them.
fn take_roles(field: &mut Field, mistakes: &mut Mistakes) -> Vec<Ident> {
    let (ours, others) = std::mem::take(&mut field.attrs)
        .into_iter()
        .partition::<Vec<_>, _>(|attribute| attribute.path().is_ident("digime"));
    field.attrs = others;
    let mut named = Vec::new();
    for attribute in &ours {
        let read = attribute.parse_args_with(|input: ParseStream| {
            let roles = input.parse_terminated(Ident::parse_any, Token![,])?;
            Ok(roles.into_iter().collect::<Vec<_>>())
        });
        match read {
            Ok(roles) if !roles.is_empty() => named.extend(roles),
            _ => mistakes.add(
                attribute,
                "say which role the field has, as in `#[digime(private_key)]`",
            ),
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tokens: TokenStream) -> (Vec<String>, usize) {
        let mut mistakes = Mistakes::default();
        let names = arguments(tokens, &mut mistakes)
            .into_iter()
            .map(|argument| match argument {
                Argument::Word(name) | Argument::Value(name, _) => name.to_string(),
                Argument::String(string) => string.value(),
            });
        (names.collect(), count(mistakes))
    }

    fn count(mistakes: Mistakes) -> usize {
        mistakes.0.map_or(0, |errors| errors.into_iter().count())
    }

    #[test]
    fn arguments_are_words_and_values() {
        assert_eq!(read(quote!()), (vec![], 0));
        assert_eq!(read(quote!(once,)), (vec!["once".into()], 0));
        let (names, mistakes) = read(quote!(ongoing, application_id = "a", crate = a::b));
        assert_eq!(
            (names.join(" "), mistakes),
            ("ongoing application_id crate".into(), 0)
        );
    }

    #[test]
    fn parsing_continues_after_a_mistake() {
        let (names, mistakes) = read(quote!(1 + 1, once, contract_id = , redirect_uri = "x"));
        assert_eq!((names.join(" "), mistakes), ("once redirect_uri".into(), 2));
    }

    #[test]
    fn only_the_attributes_with_roles_are_removed() {
        let mut mistakes = Mistakes::default();
        let tokens = quote! { struct A { #[serde(default)] #[digime(private_key)] key: K, b: B } };
        let item = item(tokens, &mut mistakes).expect("a struct");
        let fields = item.fields.expect("a struct");
        assert_eq!(fields[0].roles[0], "private_key");
        assert!(fields[1].roles.is_empty());
        let printed = item.input.to_token_stream().to_string();
        assert!(
            printed.contains("serde") && !printed.contains("digime"),
            "{printed}"
        );
        assert!(mistakes.0.is_none());
    }

    #[test]
    fn an_item_that_is_not_a_struct_is_refused_where_it_begins() {
        for tokens in [
            quote!(
                #[doc = "x"]
                fn a() {}
            ),
            quote!(
                mod a {}
            ),
            quote!(
                enum A {}
            ),
            quote!(union A { a: u8 }),
        ] {
            let mut mistakes = Mistakes::default();
            assert!(item(tokens, &mut mistakes).is_none_or(|item| item.fields.is_none()));
            let message = mistakes.0.expect("a mistake").to_string();
            assert!(
                message.starts_with("a digi.me contract is a struct"),
                "{message}"
            );
        }
    }
}
