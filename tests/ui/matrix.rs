//! Every call in every state, of both kinds of contract and in generic code: it compiles, or it is exactly one error.
//!
//! The methods and the states are read from the source, so that a new one can't be forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use quote::ToTokens;
use syn::{FnArg, ImplItem, ImplItemFn, Item, ReturnType, Type, Visibility};

use crate::compiler::{Compiler, root};

/// A call, as it is written on a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call(String);

/// The states, each with the calls that are right in it.
type States = BTreeMap<String, BTreeSet<Call>>;

/// What stands before the cells.
const PRELUDE: &str = "\
#![allow(unused)]
use digime::*;
#[digime_contract(once, application_id = \"a\", contract_id = \"c\", redirect_uri = \"https://a.example\")]
pub struct Welcome { private_key: PrivateKey }
#[digime_contract(ongoing, application_id = \"a\", contract_id = \"c\", redirect_uri = \"https://a.example\")]
pub struct Receipts { private_key: PrivateKey }
fn main() {}
";

fn states() -> States {
    let mut states = States::new();
    for file in std::fs::read_dir(root().join("src/flow")).expect("the source") {
        let source = std::fs::read_to_string(file.expect("a file").path()).expect("a file");
        let Ok(file) = syn::parse_file(&source) else {
            continue;
        };
        for (state, methods) in file.items.iter().filter_map(methods_of_a_state) {
            for state in concrete(&state) {
                states
                    .entry(state)
                    .or_default()
                    .extend(methods.iter().cloned());
            }
        }
    }
    states
}

/// The state that an `impl Flow<C, State>` is about, and the public calls in it.
fn methods_of_a_state(item: &Item) -> Option<(String, Vec<Call>)> {
    let Item::Impl(block) = item else { return None };
    let of = block.self_ty.to_token_stream().to_string().replace(' ', "");
    let state = of.strip_prefix("Flow<C,")?.strip_suffix('>')?.to_owned();
    let calls = block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(method) if matches!(method.vis, Visibility::Public(_)) => call(method),
        _ => None,
    });
    Some((state, calls.collect()))
}

/// A state that is generic over what is kept while waiting is one for each.
fn concrete(state: &str) -> Vec<String> {
    match state {
        "AwaitingCallback<V>" => vec![
            "AwaitingCallback<NoVerifier>".into(),
            "AwaitingCallback<Verifier>".into(),
        ],
        _ => vec![state.to_owned()],
    }
}

/// A call of a method with arguments that every cell has; nothing for a function that takes no flow.
fn call(method: &ImplItemFn) -> Option<Call> {
    let signature = &method.sig;
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
    let is_future = signature.asyncness.is_some() || returned.starts_with("CreatePostbox");
    let behind = match is_future {
        true if returned.contains("Result") || returned.starts_with("CreatePostbox") => ".await?",
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
        many if many.starts_with("implIntoIterator<Item=PostboxItem") => "[item]",
        other => panic!("the matrix has no argument of type {other}: add one to the cells"),
    }
}

/// The contracts of a cell: a struct of each kind, and generic code. A state is combined with both kinds, although only
/// one of them reaches it, since a type can name what no value has.
const CONTRACTS: [(&str, &str); 4] = [
    ("", "Welcome"),
    ("<C: OnceContract>", "C"),
    ("", "Receipts"),
    ("<C: OngoingContract>", "C"),
];

#[test]
fn every_call_in_every_state_compiles_or_is_one_error_that_says_what_to_do() {
    let states = states();
    assert_eq!(states.len(), 5, "{:?}", states.keys());
    let calls: BTreeSet<&Call> = states.values().flatten().collect();
    let mut program = PRELUDE.to_owned();
    let mut matrix = Vec::new();
    for (state, right) in &states {
        for (generics, contract) in CONTRACTS {
            for call in &calls {
                let line = program.lines().count() + 1;
                let number = matrix.len();
                writeln!(
                    program,
                    "async fn cell_{number}{generics}(flow: Flow<{contract}, {state}>, session: Session<{contract}>, \
                     callback: Callback, item: PostboxItem, scope: Scope, token: AccessToken) -> Result<(), Error> \
                     {{ let it = flow.{}; drop(it); Ok(()) }}",
                    call.0
                )
                .expect("a line");
                matrix.push((
                    line,
                    format!("Flow<{contract}, {state}>.{}", call.0),
                    right.contains(call),
                ));
            }
        }
    }
    let mut errors = errors_by_line(&program);
    for (line, cell, is_right) in &matrix {
        let errors = errors.remove(line).unwrap_or_default();
        assert_eq!(errors.len(), usize::from(!is_right), "{cell}: {errors:#?}");
        for error in errors {
            assert!(
                error.contains("  = note: "),
                "{cell} is not told what to do\n{error}"
            );
            assert!(!error.contains("__private"), "{cell}\n{error}");
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
    println!(
        "{} calls in {} states: {} cells",
        calls.len(),
        states.len(),
        matrix.len()
    );
}

/// What the compiler says of a program, by the line at which each error stands.
fn errors_by_line(program: &str) -> BTreeMap<usize, Vec<String>> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix.rs");
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
