//! Every call in every state, of both kinds of contract and in generic code: it compiles, or it is exactly one error.
//!
//! The methods, the states and the table of wrong calls are read from the source, so that a new one can't be forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{
    FnArg, Ident, ImplItem, Item, ReturnType, Signature, Token, Type, Visibility, braced,
    parenthesized,
};

use crate::compiler::{Compiler, root};

/// A call, as it is written on a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call(String);

impl Call {
    pub(crate) fn name(&self) -> &str {
        self.0.split('(').next().expect("a name")
    }
}

/// The states, each with the calls that are right in it.
pub(crate) type States = BTreeMap<String, BTreeSet<Call>>;

/// One call of a flow under a contract in a state.
pub(crate) struct Cell<'a> {
    pub(crate) contract: Contract,
    pub(crate) state: &'a str,
    pub(crate) call: &'a Call,
    pub(crate) is_right: bool,
}

/// The parameters of a function with the contract `C`, and its name.
pub(crate) type Contract = (&'static str, &'static str);

/// The beginning of the program, before the cells.
pub(crate) const PRELUDE: &str = "\
#![allow(unused)]
use digime::*;
use digime::scope::Scope;
#[digime_contract(once, application_id = \"a\", contract_id = \"c\", redirect_uri = \"https://a.example\")]
pub struct Welcome { private_key: PrivateKey }
#[digime_contract(ongoing, application_id = \"a\", contract_id = \"c\", redirect_uri = \"https://a.example\")]
pub struct Receipts { private_key: PrivateKey }
fn main() {}
";

pub(crate) fn states() -> States {
    let mut states = States::new();
    for path in files(&root().join("src/flow")) {
        let file = parse(&path);
        for (state, methods) in file.items.iter().filter_map(methods_of_a_state) {
            for state in concrete(state) {
                states
                    .entry(state)
                    .or_default()
                    .extend(methods.iter().cloned());
            }
        }
    }
    states
}

/// The files in a folder and in those inside it.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

pub(crate) fn parse(path: &Path) -> syn::File {
    let source = std::fs::read_to_string(path).expect("a file");
    syn::parse_file(&source).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The state that an `impl Flow<C, State>` is about, and the public calls in it.
fn methods_of_a_state(item: &Item) -> Option<(String, Vec<Call>)> {
    let Item::Impl(block) = item else { return None };
    let of = block.self_ty.to_token_stream().to_string().replace(' ', "");
    let state = of.strip_prefix("Flow<C,")?.strip_suffix('>')?.to_owned();
    if state == "S" {
        // What is right in every state is wrong in none.
        return None;
    }
    let calls = block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(method) if matches!(method.vis, Visibility::Public(_)) => call(&method.sig),
        _ => None,
    });
    Some((state, calls.collect()))
}

/// A state that is generic over what is kept while waiting is one for each.
pub(crate) fn concrete(state: String) -> Vec<String> {
    match state.as_str() {
        "AwaitingCallback<V>" => vec![
            "AwaitingCallback<NoVerifier>".into(),
            "AwaitingCallback<Verifier>".into(),
        ],
        _ => vec![state],
    }
}

/// The table of wrong calls: for each call the states in which it is wrong.
struct Table(BTreeMap<Call, Vec<String>>);

impl Table {
    fn read() -> Self {
        let items = parse(&root().join("src/flow.rs")).items;
        let table = items.into_iter().find_map(|item| match item {
            Item::Macro(table) if table.mac.path.is_ident("wrong_calls") => Some(table.mac.tokens),
            _ => None,
        });
        syn::parse2(table.expect("a table")).expect("methods with their rows")
    }
}

impl Parse for Table {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let mut table = BTreeMap::<Call, Vec<String>>::new();
        while !input.is_empty() {
            let method: Ident = input.parse()?;
            let arguments;
            parenthesized!(arguments in input);
            let arguments: proc_macro2::TokenStream = arguments.parse()?;
            while input.peek(Token![->]) {
                let returned: ReturnType = input.parse()?;
                let signature = syn::parse2(quote!(fn #method(#arguments) #returned))?;
                let states = rows(input)?.into_iter().flat_map(concrete);
                let call = call(&signature).expect("a twin takes a flow");
                table.entry(call).or_default().extend(states);
            }
        }
        Ok(Self(table))
    }
}

/// The states of a block of rows, `State: Reason;` or `State: Reason for any V;`.
fn rows(input: ParseStream) -> syn::Result<Vec<String>> {
    let rows;
    braced!(rows in input);
    let mut states = Vec::new();
    while !rows.is_empty() {
        let state: Type = rows.parse()?;
        rows.parse::<Token![:]>()?;
        while !rows.peek(Token![;]) {
            rows.parse::<proc_macro2::TokenTree>()?;
        }
        rows.parse::<Token![;]>()?;
        states.push(state.to_token_stream().to_string().replace(' ', ""));
    }
    Ok(states)
}

/// A call of a method with arguments that every cell has; nothing for a function that takes no flow.
pub(crate) fn call(signature: &Signature) -> Option<Call> {
    signature.receiver()?;
    let arguments = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Receiver(_) => None,
        FnArg::Typed(argument) => Some(argument_of_type(&argument.ty)),
    });
    let arguments = arguments.collect::<Vec<_>>().join(", ");
    let returned = match &signature.output {
        ReturnType::Default => String::new(),
        ReturnType::Type(_, returned) => returned.to_token_stream().to_string(),
    };
    let creates = returned.starts_with("CreatePostbox");
    let is_future = signature.asyncness.is_some() || returned.starts_with("Ready") || creates;
    let behind = match is_future {
        true if returned.contains("Result") || creates => ".await?",
        true => ".await",
        false if returned.contains("Result") => "?",
        false => "",
    };
    Some(Call(format!("{}({arguments}){behind}", signature.ident)))
}

fn argument_of_type(ty: &Type) -> &'static str {
    match ty.to_token_stream().to_string().replace(' ', "").as_str() {
        "Callback" => "callback",
        "PostboxItem" => "item",
        "Session<C>" => "session",
        "&Scope" => "&scope",
        "&AccessToken" => "&token",
        "ConsentOptions" => "options",
        "RenewalOptions" => "renewal",
        "ProviderAccount" => "account",
        many if many.starts_with("implIntoIterator<Item=PostboxItem") => "[item]",
        other => panic!("the matrix has no argument of type {other}: add one to the cells"),
    }
}

/// The contracts of a cell: a struct of each kind, and generic code. A state is combined with both kinds, although only
/// one of them reaches it, since a type can name what no value has.
pub(crate) const CONTRACTS: [Contract; 4] = [
    ("", "Welcome"),
    ("<C: OnceContract>", "C"),
    ("", "Receipts"),
    ("<C: OngoingContract>", "C"),
];

#[test]
fn the_table_has_a_row_for_every_wrong_call_and_for_no_other() {
    let states = states();
    let Table(mut table) = Table::read();
    let everywhere = table.remove(&Call("clone()".into()));
    assert_eq!(everywhere.as_deref(), Some(["S".to_owned()].as_slice()));
    for call in states.values().flatten() {
        let mut rows = table.get(call).cloned().unwrap_or_default();
        rows.sort();
        let is_wrong = |state: &&String| !states[*state].contains(call);
        let wrong: Vec<&String> = states.keys().filter(is_wrong).collect();
        assert_eq!(
            rows.iter().collect::<Vec<_>>(),
            wrong,
            "the rows of `{}` in src/flow.rs, and the states without it",
            call.0
        );
    }
    let calls: BTreeSet<&Call> = states.values().flatten().collect();
    let unknown: Vec<&Call> = table.keys().filter(|call| !calls.contains(call)).collect();
    assert!(unknown.is_empty(), "no state has {unknown:?}");
}

/// The names that follow a word in a string, such as those of all `@unless_named name`.
fn names_after<'a>(text: &'a str, word: &str) -> BTreeSet<&'a str> {
    let names = text.split(word).skip(1).map(|rest| {
        let end = rest.find(|it: char| !it.is_ascii_lowercase() && it != '_');
        &rest[..end.unwrap_or(rest.len())]
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_library_can_explain_every_call_that_can_be_wrong() {
    let Table(table) = Table::read();
    let calls = table.keys().map(Call::name);
    // Nothing can be cloned in any state, and a library's state is suspended if it is `Durable`.
    let calls: BTreeSet<&str> = calls
        .filter(|call| !matches!(*call, "clone" | "suspend"))
        .collect();
    let flow = std::fs::read_to_string(root().join("src/flow.rs")).expect("a file");
    assert_eq!(
        names_after(&flow, "Offers<call::"),
        calls,
        "`explained_calls!` in src/flow.rs"
    );

    let file = root().join("src/flow/extension/wrong_calls.rs");
    let library = std::fs::read_to_string(file).expect("a file");
    assert_eq!(
        names_after(&library, "@unless_named "),
        calls,
        "the names that rows may have"
    );
    let (_, others) = library
        .split_once("@others $generics $state $named $reason\n")
        .expect("a list");
    let others: BTreeSet<&str> = others
        .split('}')
        .next()
        .expect("a list")
        .split_whitespace()
        .collect();
    assert_eq!(others, calls, "the calls that `_` means");
}

#[test]
fn every_call_in_every_state_compiles_or_is_one_error_that_says_what_to_do() {
    let states = states();
    assert_eq!(states.len(), 5, "{:?}", states.keys());
    let calls: BTreeSet<&Call> = states.values().flatten().collect();
    let mut table = Vec::new();
    for (state, right) in &states {
        for contract in CONTRACTS {
            table.extend(calls.iter().map(|call| Cell {
                contract,
                state,
                call,
                is_right: right.contains(call),
            }));
        }
    }
    check("matrix", PRELUDE, "", &table);
}

/// Compiles all cells as one program, and returns the error of each cell that is wrong. `arguments` are those that some calls have
/// besides the usual ones.
pub(crate) fn check<'a>(
    name: &str,
    prelude: &str,
    arguments: &str,
    cells: &'a [Cell<'a>],
) -> Vec<(&'a Cell<'a>, String)> {
    let mut program = prelude.to_owned();
    let first_line = program.lines().count() + 1;
    for (number, cell) in cells.iter().enumerate() {
        let Cell { state, call, .. } = cell;
        let (generics, contract) = cell.contract;
        writeln!(
            program,
            "async fn cell_{number}{generics}(flow: Flow<{contract}, {state}>, session: Session<{contract}>, \
             callback: Callback, item: PostboxItem, scope: Scope, token: AccessToken, {arguments}) -> Result<(), Error> \
             {{ let it = flow.{}; drop(it); Ok(()) }}",
            call.0
        )
        .expect("a line");
    }
    let mut errors = errors_by_line(name, &program);
    let mut reasons = Vec::new();
    for (number, cell) in cells.iter().enumerate() {
        let errors = errors.remove(&(first_line + number)).unwrap_or_default();
        let expected = usize::from(!cell.is_right);
        let of = format!("Flow<{}, {}>.{}", cell.contract.1, cell.state, cell.call.0);
        assert_eq!(errors.len(), expected, "{of}: {errors:#?}");
        for error in errors {
            assert!(
                error.starts_with("error[E0277]: ") && error.contains("  = note: "),
                "{of} has no reason that says what to do\n{error}"
            );
            assert!(!error.contains("__private"), "{of}\n{error}");
            reasons.push((cell, error));
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
    println!("{name}: {} cells", cells.len());
    reasons
}

/// What the compiler says of a program, by the line of each error.
fn errors_by_line(name: &str, program: &str) -> BTreeMap<usize, Vec<String>> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.rs"));
    std::fs::write(&file, program).expect("a file");
    let mut errors = BTreeMap::<usize, Vec<String>>::new();
    for diagnostic in Compiler::new().check(&file) {
        if diagnostic.is_error() {
            let errors = errors.entry(diagnostic.line()).or_default();
            errors.push(diagnostic.rendered().to_owned());
        }
    }
    errors
}
