//! The meaning of the attribute's arguments.

use digime_rules::{check_id, check_redirect_uri};
use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Lit, LitStr, Path};

use super::{Kind, Role};
use crate::parse::{Argument, Mistakes, Value};
use crate::suggest::nearest;

/// The arguments by their meaning.
#[derive(Default)]
pub(super) struct Arguments {
    kind: Option<Kind>,
    /// Whether the kind is given, right or wrong.
    kind_is_given: bool,
    both_kinds_are_given: bool,
    pub library: Option<Path>,
    literals: Vec<Literal>,
}

/// A role that is given in the attribute.
pub(super) struct Literal {
    role: Role,
    pub name: Ident,
    /// `None` if it is invalid, which is a recorded mistake.
    pub value: Option<LitStr>,
}

impl Arguments {
    pub(super) fn new(arguments: Vec<Argument>, mistakes: &mut Mistakes) -> Self {
        let mut sorted = Self::default();
        for argument in arguments {
            match argument {
                Argument::Word(word) => sorted.add_word(&word, mistakes),
                Argument::String(string) => sorted.add_string(&string, mistakes),
                Argument::Value(name, Value::Path(path)) if name == "kind" => {
                    sorted.add_kind(&name, path, mistakes);
                }
                Argument::Value(name, Value::Path(path)) => {
                    sorted.add_library(&name, path, mistakes);
                }
                Argument::Value(name, Value::Expr(value)) => {
                    sorted.add_value(name, &value, mistakes);
                }
            }
        }
        if !sorted.kind_is_given {
            mistakes.add_at(
                Span::call_site(),
                "say which kind the contract is: `#[digime_contract(once)]` or `#[digime_contract(ongoing)]`",
            );
        }
        sorted
    }

    fn add_word(&mut self, name: &Ident, mistakes: &mut Mistakes) {
        let word = name.unraw().to_string();
        if let Some(role) = Role::from_name(&word) {
            mistakes.add(name, needs_a_value(role));
            self.add_mistaken(name);
            return;
        }
        self.kind_is_given = true;
        if let Some(kind) = Kind::from_word(&word) {
            self.set_kind(kind, name, mistakes);
        } else {
            let meant = Kind::meant_by(&word);
            mistakes.add(name, unknown_kind(&word, meant.as_ref()));
            self.kind = self.kind.take().or(meant);
        }
    }

    /// A kind that another library brings: `kind = path`.
    fn add_kind(&mut self, name: &Ident, path: Path, mistakes: &mut Mistakes) {
        self.kind_is_given = true;
        if path
            .get_ident()
            .is_some_and(|word| Kind::from_word(&word.to_string()).is_some())
        {
            mistakes.add(name, KIND_IS_A_WORD);
        } else {
            self.set_kind(Kind::Other(path), name, mistakes);
        }
    }

    fn set_kind(&mut self, kind: Kind, at: &Ident, mistakes: &mut Mistakes) {
        let word = kind.word();
        match &self.kind {
            None => self.kind = Some(kind),
            Some(Kind::Other(_)) if matches!(kind, Kind::Other(_)) => {
                self.both_kinds_are_given = true;
                mistakes.add(at, "a contract has one kind: keep one");
            }
            Some(first) if first.word() == word => {
                mistakes.add(at, format!("`{word}` is given twice: keep one"));
            }
            Some(first) => {
                self.both_kinds_are_given = true;
                let first = first.word();
                let message = format!("a contract is `{first}` or `{word}`, not both: keep one");
                mistakes.add(at, message);
            }
        }
    }

    /// A string without a name can only be the kind, in quotes.
    fn add_string(&mut self, string: &LitStr, mistakes: &mut Mistakes) {
        self.kind_is_given = true;
        let word = string.value();
        let meant = Kind::from_word(&word).or_else(|| Kind::meant_by(&word));
        mistakes.add(
            string,
            match &meant {
                Some(kind @ (Kind::Once | Kind::Ongoing)) => format!(
                    "the kind is a bare word, not a string: write `{}` without quotes",
                    kind.word()
                ),
                other => unknown_kind(&word, other.as_ref()),
            },
        );
        self.kind = self.kind.take().or(meant);
    }

    fn add_library(&mut self, name: &Ident, path: Path, mistakes: &mut Mistakes) {
        if self.library.is_some() {
            mistakes.add(name, "`crate` is given twice: keep one");
        } else {
            self.library = Some(path);
        }
    }

    fn add_value(&mut self, name: Ident, value: &Expr, mistakes: &mut Mistakes) {
        let word = name.unraw().to_string();
        if let Some(kind) = Kind::from_word(&word) {
            self.kind_is_given = true;
            self.kind.get_or_insert(kind);
            mistakes.add(
                value,
                format!("`{word}` takes no value: write just `{word}`"),
            );
            return;
        }
        if matches!(word.as_str(), "kind" | "type") {
            self.kind_is_given = true;
            mistakes.add(name, KIND_IS_A_WORD);
            return;
        }
        if word == "crate" {
            mistakes.add(
                value,
                "`crate` takes a path, without quotes: `crate = framework::digime`",
            );
            return;
        }
        let Some(role) = Role::from_name(&word) else {
            self.add_unknown(name, &word, mistakes);
            return;
        };
        if self.literals.iter().any(|literal| literal.role == role) {
            mistakes.add(name, format!("`{word}` is given twice: keep one"));
            return;
        }
        let value = checked(role, value, mistakes);
        self.literals.push(Literal { role, name, value });
    }

    fn add_unknown(&mut self, name: Ident, word: &str, mistakes: &mut Mistakes) {
        let meant = nearest(word, Role::names().chain(["crate"]));
        mistakes.add(&name, match meant {
            Some(meant) => format!("unknown argument `{word}`: did you mean `{meant}`?"),
            None => format!(
                "unknown argument `{word}`: expected `application_id`, `contract_id`, `redirect_uri` or `crate`"
            ),
        });
        if let Some(role) = meant.and_then(Role::from_name) {
            self.literals.push(Literal {
                role,
                name,
                value: None,
            });
        }
    }

    /// Records a role as given although it is a mistake, so that it is not reported as missing too.
    fn add_mistaken(&mut self, name: &Ident) {
        if let Some(role) = Role::from_name(&name.unraw().to_string()) {
            self.literals.push(Literal {
                role,
                name: name.clone(),
                value: None,
            });
        }
    }

    /// The kind, if it is clear which one is meant.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.kind.clone().filter(|_| !self.both_kinds_are_given)
    }

    pub(super) fn literal(&self, role: Role) -> Option<&Literal> {
        self.literals.iter().find(|literal| literal.role == role)
    }
}

const KIND_IS_A_WORD: &str = "the kind is a bare word: write just `once` or `ongoing`";

const PRIVATE_KEY_IN_SOURCE: &str = "a private key is a secret and does not belong in source code: make it a field, \
                                     `private_key: PrivateKey`, and read it when the program starts";

fn needs_a_value(role: Role) -> String {
    let name = role.name();
    match role {
        Role::PrivateKey => PRIVATE_KEY_IN_SOURCE.to_owned(),
        _ => format!("`{name}` needs a value, as in `{name} = \"…\"`; or make it a field"),
    }
}

fn unknown_kind(word: &str, meant: Option<&Kind>) -> String {
    match meant {
        Some(meant) => format!(
            "unknown kind of contract `{word}`: did you mean `{}`?",
            meant.argument()
        ),
        None => format!("unknown kind of contract `{word}`: expected `once` or `ongoing`"),
    }
}

/// The expression without the invisible group around a `macro_rules!` fragment such as `$id:literal`.
fn ungrouped(mut value: &Expr) -> &Expr {
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    value
}

/// The literal, if it keeps the rules of its role. Otherwise a mistake is recorded.
fn checked(role: Role, value: &Expr, mistakes: &mut Mistakes) -> Option<LitStr> {
    if role == Role::PrivateKey {
        mistakes.add(value, PRIVATE_KEY_IN_SOURCE);
        return None;
    }
    let Expr::Lit(ExprLit {
        lit: Lit::Str(literal),
        ..
    }) = ungrouped(value)
    else {
        let name = role.name();
        let message = format!(
            "`{name}` takes a string literal, as in `{name} = \"…\"`; for any other value, make it a field"
        );
        mistakes.add(value, message);
        return None;
    };
    let checked = match role {
        Role::RedirectUri => check_redirect_uri(&literal.value()).map_err(|why| why.to_string()),
        _ => check_id(&literal.value()).map_err(|why| why.to_string()),
    };
    match checked {
        Ok(()) => Some(literal.clone()),
        Err(why) => {
            mistakes.add(literal, why);
            None
        }
    }
}
