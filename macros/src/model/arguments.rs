//! What the attribute's arguments say.

use digime_rules::{check_id, check_redirect_uri};
use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Lit, LitStr, Path};

use super::{Kind, Role};
use crate::parse::{Argument, Mistakes, Value};
use crate::suggest::nearest;

/// The arguments, sorted by what they say.
#[derive(Default)]
pub struct Arguments {
    kind: Option<Kind>,
    /// Whether something was said of the kind, right or wrong.
    kind_was_said: bool,
    both_kinds_were_said: bool,
    pub library: Option<Path>,
    literals: Vec<Literal>,
}

/// A role that was given in the attribute.
pub struct Literal {
    role: Role,
    pub name: Ident,
    /// Nothing where it is wrong, which is recorded.
    pub value: Option<LitStr>,
}

impl Arguments {
    pub fn new(arguments: Vec<Argument>, mistakes: &mut Mistakes) -> Self {
        let mut sorted = Self::default();
        for argument in arguments {
            match argument {
                Argument::Word(word) => sorted.add_word(&word, mistakes),
                Argument::Text(text) => sorted.add_text(&text, mistakes),
                Argument::Value(name, Value::Path(path)) => {
                    sorted.add_library(&name, path, mistakes);
                }
                Argument::Value(name, Value::Expr(value)) => {
                    sorted.add_value(name, &value, mistakes);
                }
            }
        }
        if !sorted.kind_was_said {
            mistakes.add_at(
                Span::call_site(),
                "say which kind the contract is: `#[digime_contract(once)]` or `#[digime_contract(ongoing)]`",
            );
        }
        sorted
    }

    fn add_word(&mut self, name: &Ident, mistakes: &mut Mistakes) {
        let word = name.unraw().to_string();
        if Role::from_name(&word).is_some() {
            let message = format!("`{word}` needs a value here, `{word} = \"…\"`, or is a field");
            mistakes.add(name, message);
            self.add_mistaken(name);
            return;
        }
        self.kind_was_said = true;
        match (Kind::from_word(&word), self.kind) {
            (Some(kind), None) => self.kind = Some(kind),
            (Some(kind), Some(first)) if kind == first => {
                mistakes.add(name, format!("`{word}` is given twice: keep one"));
            }
            (Some(_), Some(first)) => {
                self.both_kinds_were_said = true;
                let first = first.word();
                let message = format!("a contract is `{first}` or `{word}`, not both: keep one");
                mistakes.add(name, message);
            }
            (None, _) => {
                let meant = Kind::meant_by(&word);
                self.kind = self.kind.or(meant);
                mistakes.add(name, unknown_kind(&word, meant));
            }
        }
    }

    /// A text by itself can only be the kind, in quotes.
    fn add_text(&mut self, text: &LitStr, mistakes: &mut Mistakes) {
        self.kind_was_said = true;
        let word = text.value();
        let meant = Kind::from_word(&word).or_else(|| Kind::meant_by(&word));
        self.kind = self.kind.or(meant);
        mistakes.add(
            text,
            match meant {
                Some(kind) => format!(
                    "the kind is a word, not a text: write `{}` without quotes",
                    kind.word()
                ),
                None => unknown_kind(&word, None),
            },
        );
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
            self.kind_was_said = true;
            self.kind = self.kind.or(Some(kind));
            mistakes.add(
                value,
                format!("`{word}` takes no value: write just `{word}`"),
            );
            return;
        }
        if matches!(word.as_str(), "kind" | "type") {
            self.kind_was_said = true;
            mistakes.add(
                name,
                "the kind is a word by itself: write just `once` or `ongoing`",
            );
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
                "unknown argument `{word}`: there are `application_id`, `contract_id`, `redirect_uri` and `crate`"
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

    /// Takes a role as given although what was given is wrong, so that it is not told to be missing too.
    fn add_mistaken(&mut self, name: &Ident) {
        if let Some(role) = Role::from_name(&name.unraw().to_string()) {
            self.literals.push(Literal {
                role,
                name: name.clone(),
                value: None,
            });
        }
    }

    /// The kind, where what is said of it leaves no doubt which is meant.
    pub fn kind(&self) -> Option<Kind> {
        self.kind.filter(|_| !self.both_kinds_were_said)
    }

    pub fn literal(&self, role: Role) -> Option<&Literal> {
        self.literals.iter().find(|literal| literal.role == role)
    }
}

fn unknown_kind(word: &str, meant: Option<Kind>) -> String {
    match meant {
        Some(meant) => format!(
            "unknown kind of contract `{word}`: did you mean `{}`?",
            meant.word()
        ),
        None => format!("unknown kind of contract `{word}`: there are `once` and `ongoing`"),
    }
}

/// The expression in the invisible group that a `macro_rules!` fragment such as `$id:literal` arrives in.
fn ungrouped(mut value: &Expr) -> &Expr {
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    value
}

/// The text of a literal that keeps the rules of its role; otherwise the mistake is recorded.
fn checked(role: Role, value: &Expr, mistakes: &mut Mistakes) -> Option<LitStr> {
    if role == Role::PrivateKey {
        mistakes.add(
            value,
            "a private key is a secret and does not belong in source: make it a field, `private_key: PrivateKey`, \
             and read it when the program starts",
        );
        return None;
    }
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = ungrouped(value)
    else {
        let name = role.name();
        let message = format!(
            "`{name}` takes a text literal, as in `{name} = \"…\"`; for any other value make it a field"
        );
        mistakes.add(value, message);
        return None;
    };
    let checked = match role {
        Role::RedirectUri => check_redirect_uri(&text.value()).map_err(|why| why.to_string()),
        _ => check_id(&text.value()).map_err(|why| why.to_string()),
    };
    match checked {
        Ok(()) => Some(text.clone()),
        Err(why) => {
            mistakes.add(text, why);
            None
        }
    }
}
