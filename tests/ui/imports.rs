//! Every call of both flows in every state of both, with the calls of the import flow in scope: it compiles, or it is exactly one
//! error.
//!
//! What `import/src/calls.rs` says of each call and state is read from there.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Generics, Ident, Item, Signature, Token, Type, Visibility, braced, bracketed,
};

use crate::compiler::root;
use crate::matrix::{
    self, CONTRACTS, Call, Cell, Contract, PRELUDE, States, call, check, concrete,
};

/// What else the program begins with.
const IMPORTS: &str = "\
use digime_import::{ConsentOptions, ImportFlow, ProviderAccount, RenewalOptions};
#[digime_contract(kind = digime_import::Import, application_id = \"a\", contract_id = \"c\", redirect_uri = \"https://a.example\")]
pub struct Parcels { private_key: PrivateKey }
";

/// The arguments of the import flow's calls that the postbox's calls do not have.
const ARGUMENTS: &str =
    "options: ConsentOptions, renewal: RenewalOptions, account: ProviderAccount";

/// The contracts of a cell in a state of the import flow.
const IMPORT_CONTRACTS: [Contract; 2] = [
    ("", "Parcels"),
    ("<C: Contract<Kind = digime_import::Import>>", "C"),
];

/// The states of the import flow, as `impl ExtensionState for …` names them.
fn import_states() -> BTreeSet<String> {
    let files = matrix::files(&root().join("import/src"));
    let items = files.iter().flat_map(|file| matrix::parse(file).items);
    let states = items.filter_map(|item| match item {
        Item::Impl(block) if block.trait_.as_ref()?.0.is_ident("ExtensionState") => {
            Some(text(&block.self_ty))
        }
        _ => None,
    });
    states.flat_map(in_the_program).collect()
}

fn text(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string().replace(' ', "")
}

/// The states that a row is about, as the program names them. Both flows have an `Unstarted`.
fn in_the_program(state: String) -> Vec<String> {
    match state.as_str() {
        "PostboxUnstarted" => vec!["Unstarted".into()],
        "Unstarted" | "Connected" | "Lapsed" => vec![format!("digime_import::{state}")],
        "AwaitingConsent<V>" | "AwaitingConsent<Verifier>" => {
            vec!["digime_import::AwaitingConsent<Verifier>".into()]
        }
        _ => concrete(state),
    }
}

/// The macros of a file with this name, parsed.
fn macros<T: Parse>(name: &str) -> Vec<T> {
    let items = matrix::parse(&root().join("import/src/calls.rs")).items;
    let macros = items.into_iter().filter_map(|item| match item {
        Item::Macro(item) if item.mac.path.segments.last()?.ident == name => Some(item.mac.tokens),
        _ => None,
    });
    macros
        .map(|tokens| syn::parse2(tokens).expect("a table"))
        .collect()
}

/// `calls!`: for each call the states in which it is right, and those in which it is wrong.
struct Calls(BTreeMap<Call, Rows>);

#[derive(Default)]
struct Rows {
    consumes_the_flow: bool,
    right: BTreeSet<String>,
    wrong: BTreeSet<String>,
}

impl Calls {
    fn read() -> BTreeMap<Call, Rows> {
        let [Self(calls)] = <[Self; 1]>::try_from(macros("calls"))
            .ok()
            .expect("one trait");
        calls
    }
}

impl Parse for Calls {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<Token![trait]>()?;
        input.parse::<Ident>()?;
        input.parse::<Generics>()?;
        let methods;
        braced!(methods in input);
        let mut calls = BTreeMap::new();
        while !methods.is_empty() {
            methods.call(Attribute::parse_outer)?;
            let signature: Signature = methods.parse()?;
            let call = call(&signature).expect("a call takes a flow");
            let receiver = signature.receiver().expect("a flow");
            let rows = Rows {
                consumes_the_flow: text(receiver) == "self",
                ..methods.parse()?
            };
            calls.insert(call, rows);
        }
        Ok(Self(calls))
    }
}

impl Parse for Rows {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let lines;
        braced!(lines in input);
        let mut rows = Self::default();
        while !lines.peek(Token![_]) {
            let states = in_the_program(text(&lines.parse::<Type>()?));
            if lines.peek(Token![=>]) {
                rows.right.extend(states);
            } else {
                rows.wrong.extend(states);
            }
            to_semicolon(&lines)?;
        }
        to_semicolon(&lines)?;
        Ok(rows)
    }
}

fn to_semicolon(input: ParseStream) -> syn::Result<()> {
    while !input.peek(Token![;]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    input.parse::<Token![;]>()?;
    Ok(())
}

/// `wrong_calls!`: a state, the calls that the library offers there itself, and whether all others are explained.
struct WrongCalls {
    states: Vec<String>,
    offered: BTreeSet<String>,
    explains_the_others: bool,
}

impl Parse for WrongCalls {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        input.parse::<Token![impl]>()?;
        let generics;
        bracketed!(generics in input);
        generics.parse::<proc_macro2::TokenStream>()?;
        let states = in_the_program(text(&input.parse::<Type>()?));
        let rows;
        braced!(rows in input);
        let (mut offered, mut explains_the_others) = (BTreeSet::new(), false);
        while !rows.is_empty() {
            if rows.peek(Token![_]) {
                explains_the_others = true;
            } else {
                let names =
                    syn::punctuated::Punctuated::<Ident, Token![,]>::parse_separated_nonempty(
                        &rows,
                    )?;
                if rows.peek(Token![=>]) {
                    offered.extend(names.iter().map(Ident::to_string));
                }
            }
            to_semicolon(&rows)?;
        }
        Ok(Self {
            states,
            offered,
            explains_the_others,
        })
    }
}

/// The names of the postbox's calls.
fn names(states: &States) -> BTreeSet<&str> {
    states.values().flatten().map(Call::name).collect()
}

#[test]
fn the_import_flow_has_a_row_for_every_state_of_both_flows() {
    let (postbox, import) = (matrix::states(), import_states());
    assert_eq!(import.len(), 4, "{import:?}");
    let calls_of_the_postbox = names(&postbox);
    for (call, rows) in Calls::read() {
        let Rows { right, wrong, .. } = &rows;
        assert!(right.is_disjoint(wrong), "{call:?}");
        let found: BTreeSet<&String> = right.union(wrong).collect();
        let mut states: BTreeSet<&String> = import.iter().collect();
        if !calls_of_the_postbox.contains(call.name()) {
            states.extend(postbox.keys());
        } else if rows.consumes_the_flow {
            // rustc takes it before the hidden method of the same name, which borrows the flow.
            let is_wrong = |state: &&String| !postbox[*state].contains(&call);
            states.extend(postbox.keys().filter(is_wrong));
        }
        assert_eq!(found, states, "the rows of `{}`", call.name());
    }
}

#[test]
fn every_state_of_the_import_flow_explains_the_calls_of_a_postbox() {
    let postbox = matrix::states();
    let calls = Calls::read();
    let own: BTreeSet<&str> = calls.keys().map(Call::name).collect();
    let of_both: BTreeSet<String> = names(&postbox)
        .intersection(&own)
        .map(|it| (*it).to_owned())
        .collect();
    let tables: Vec<WrongCalls> = macros("wrong_calls");
    for table in &tables {
        assert_eq!(table.offered, of_both, "{:?}", table.states);
        assert!(table.explains_the_others, "{:?}", table.states);
    }
    let states: BTreeSet<String> = tables.into_iter().flat_map(|table| table.states).collect();
    assert_eq!(states, import_states());
}

#[test]
fn every_call_of_both_flows_in_every_state_of_both_compiles_or_is_one_error_that_says_what_to_do() {
    let (postbox, import) = (matrix::states(), import_states());
    let own = Calls::read();
    let calls: BTreeSet<&Call> = own.keys().chain(postbox.values().flatten()).collect();
    let is_right = |state: &String, call: &Call| {
        let of_a_postbox = postbox.get(state).is_some_and(|right| right.contains(call));
        of_a_postbox || own.get(call).is_some_and(|rows| rows.right.contains(state))
    };
    let mut table = Vec::new();
    // A library's state is suspended if it is `Durable`.
    let is_of_both =
        |state: &str, call: &Call| postbox.contains_key(state) || call.name() != "suspend";
    let states = postbox.keys().map(|state| (state, &CONTRACTS[..]));
    for (state, contracts) in
        states.chain(import.iter().map(|state| (state, &IMPORT_CONTRACTS[..])))
    {
        for contract in contracts {
            let calls = calls.iter().filter(|call| is_of_both(state, call));
            table.extend(calls.map(|call| Cell {
                contract: *contract,
                state,
                call,
                is_right: is_right(state, call),
            }));
        }
    }
    let program = format!("{PRELUDE}{IMPORTS}");
    for (_, error) in check("imports", &program, ARGUMENTS, &table) {
        // The row `_` prints the whole type. No state should need it.
        let first_line = error.lines().next().expect("a line");
        assert!(!first_line.contains("Flow<"), "{error}");
    }
}
