//! The tables of docs/operations.md have each event and span of the library, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::visit::{self, Visit};
use syn::{Expr, Ident, LitStr, Macro, Token};

/// An event or a span: its target, level, message or name, and fields.
type Row = (String, String, String, BTreeSet<String>);

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    std::fs::read_to_string(path).expect("the page")
}

/// The rows of the page's table whose header begins like this.
fn table(header: &str) -> BTreeSet<Row> {
    let page = page();
    let (_, table) = page.split_once(header).expect("the table");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, target, level, message, fields, ..] = cells[..] else {
            panic!("{row}")
        };
        let code = |cell: &str| cell.trim_matches('`').to_owned();
        let fields = fields.split(", ").filter(|field| !field.is_empty());
        (
            code(target),
            code(level),
            message.to_owned(),
            fields.map(code).collect(),
        )
    })
    .collect()
}

/// What is written in a macro of `tracing`.
struct Traced {
    target: String,
    message: String,
    fields: BTreeSet<String>,
}

impl Parse for Traced {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut traced = Self {
            target: String::new(),
            message: String::new(),
            fields: BTreeSet::new(),
        };
        while !input.is_empty() {
            if input.peek(LitStr) {
                traced.message = input.parse::<LitStr>()?.value();
            } else {
                traced.parse_argument(input)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(traced)
    }
}

impl Traced {
    /// `target: TARGET`, `parent: span`, `field = value` or `field`.
    fn parse_argument(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        skip_sigil(input)?;
        let name = Ident::parse_any(input)?.to_string();
        if input.peek(Token![:]) {
            input.parse::<Token![:]>()?;
            let value: Expr = input.parse()?;
            if name == "target" {
                self.target = target(&value);
            }
            return Ok(());
        }
        if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            skip_sigil(input)?;
            input.parse::<Expr>()?;
        }
        self.fields.insert(name);
        Ok(())
    }
}

fn skip_sigil(input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![%]) {
        input.parse::<Token![%]>()?;
    }
    if input.peek(Token![?]) {
        input.parse::<Token![?]>()?;
    }
    Ok(())
}

/// The target that a constant of `src/observe.rs` has.
fn target(constant: &Expr) -> String {
    let Expr::Path(path) = constant else {
        panic!("a target is a constant")
    };
    let name = path.path.segments.last().expect("a name").ident.to_string();
    format!("digime::{}", name.to_lowercase())
}

/// Finds the events and spans of a file.
#[derive(Default)]
struct Finder {
    events: BTreeSet<Row>,
    spans: BTreeSet<Row>,
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_macro(&mut self, found: &'ast Macro) {
        let names: Vec<_> = found
            .path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        if let [library, name] = &names[..]
            && library == "tracing"
        {
            let traced: Traced = found.parse_body().unwrap_or_else(|error| panic!("{error}"));
            assert!(
                !traced.target.is_empty(),
                "`{}` has no target",
                traced.message
            );
            let (level, rows) = match name.strip_suffix("_span") {
                Some(level) => (level, &mut self.spans),
                None => (name.as_str(), &mut self.events),
            };
            let level = level.to_uppercase();
            rows.insert((traced.target, level, traced.message, traced.fields));
        }
        visit::visit_macro(self, found);
    }
}

fn search(folder: &Path, finder: &mut Finder) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            search(&path, finder);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("text");
            finder.visit_file(&syn::parse_file(&text).expect("Rust"));
        }
    }
}

/// What the library's source has.
fn source() -> Finder {
    let mut finder = Finder::default();
    search(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut finder,
    );
    finder
}

#[test]
fn the_table_of_events_has_each_event_and_no_other() {
    let (written, events) = (table("| target | level | message |"), source().events);
    assert!(events.len() > 15, "{events:#?}");
    let missing: Vec<_> = events.difference(&written).collect();
    let invented: Vec<_> = written.difference(&events).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing: {missing:#?}\ninvented: {invented:#?}"
    );
}

#[test]
fn the_table_of_spans_has_each_span_and_no_other() {
    assert_eq!(table("| target | level | span |"), source().spans);
}

#[test]
fn every_target_is_in_the_table_of_targets() {
    let page = page();
    let (_, table_of_targets) = page.split_once("| target | is about |").expect("the table");
    let (table_of_targets, _) = table_of_targets.split_once("\n\n").expect("its end");
    let source = source();
    for (target, ..) in source.events.iter().chain(&source.spans) {
        let row = format!("\n| `{target}` | ");
        assert!(table_of_targets.contains(&row), "{target}");
    }
}
