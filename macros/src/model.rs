//! The meaning of the arguments and the item: the kind of the contract, and where each role comes from. Finds every
//! mistake that can be found without types.

mod arguments;
mod fields;

use proc_macro2::Span;
use syn::{DeriveInput, LitStr, Member, Path, Type, parse_quote};

use arguments::{Arguments, Literal};
use fields::{Fields, report_missing};

use crate::parse::{Argument, Item, Mistakes, RoleField};
use crate::suggest::nearest;

/// A contract as the attribute describes it.
pub(crate) struct Contract {
    /// `None` if it can't be known, which is a recorded mistake.
    pub kind: Option<Kind>,
    /// The path to the `digime` library.
    pub library: Path,
    pub input: DeriveInput,
    pub roles: Vec<(Role, Source)>,
}

/// Which flow a contract has.
#[derive(Clone)]
pub(crate) enum Kind {
    Once,
    Ongoing,
    /// One that another library brings.
    Other(Path),
}

/// One of the things that a contract needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    ApplicationId,
    ContractId,
    PrivateKey,
    RedirectUri,
}

/// Where a role comes from.
pub(crate) enum Source {
    Field {
        member: Member,
        ty: Box<Type>,
    },
    Literal(LitStr),
    /// There is a recorded mistake. The generated code only has to have the right signature.
    Mistaken,
}

impl Kind {
    /// The kind with this name.
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "once" => Some(Self::Once),
            "ongoing" => Some(Self::Ongoing),
            _ => None,
        }
    }

    /// The kind that a misspelt word probably means.
    fn meant_by(word: &str) -> Option<Self> {
        match word.to_lowercase().replace(['_', '-'], "").as_str() {
            "oneoff" | "onetime" | "onceoff" | "single" => Some(Self::Once),
            plain => match nearest(plain, ["once", "ongoing", "import"])? {
                "import" => Some(Self::Other(parse_quote!(::digime_import::Import))),
                word => Self::from_word(word),
            },
        }
    }

    /// The argument that says the kind.
    fn argument(&self) -> &'static str {
        match self {
            Self::Once | Self::Ongoing => self.word(),
            // No other is ever suggested.
            Self::Other(_) => "kind = digime_import::Import",
        }
    }

    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Ongoing => "ongoing",
            Self::Other(_) => "kind",
        }
    }
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [
        Self::ApplicationId,
        Self::ContractId,
        Self::PrivateKey,
        Self::RedirectUri,
    ];

    /// The name of the field, of the argument, and of the method of `Contract`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ApplicationId => "application_id",
            Self::ContractId => "contract_id",
            Self::PrivateKey => "private_key",
            Self::RedirectUri => "redirect_uri",
        }
    }

    /// The name of its type in the library.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::ApplicationId => "ApplicationId",
            Self::ContractId => "ContractId",
            Self::PrivateKey => "PrivateKey",
            Self::RedirectUri => "RedirectUri",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The role whose type a field has.
    fn from_type(field: &RoleField) -> Option<Self> {
        let name = field.type_name()?;
        Self::ALL.into_iter().find(|role| name == role.type_name())
    }

    fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::name)
    }
}

const LIBRARY_IS_MISSING: &str = "the attribute did not find the crate `digime`: add `crate = path::to::digime`, \
                                  the path of the library in this crate";

impl Contract {
    pub(crate) fn new(
        arguments: Vec<Argument>,
        item: Item,
        library_is_missing: bool,
        mistakes: &mut Mistakes,
    ) -> Self {
        let arguments = Arguments::new(arguments, mistakes);
        if library_is_missing && arguments.library.is_none() {
            mistakes.add_at(Span::call_site(), LIBRARY_IS_MISSING);
        }
        let sources = match item.fields {
            Some(fields) => {
                let fields = Fields::new(fields, mistakes);
                let owner = &item.input.ident;
                let sources =
                    Role::ALL.map(|role| (role, source(role, &arguments, &fields, mistakes)));
                report_missing(&arguments, &fields, owner, mistakes);
                sources
            }
            None => Role::ALL.map(|role| (role, Source::Mistaken)),
        };
        Self {
            kind: arguments.kind(),
            library: arguments.library.unwrap_or_else(|| parse_quote!(::digime)),
            input: item.input,
            roles: sources.into(),
        }
    }
}

/// Where a role comes from. Missing roles are reported together, by `report_missing`.
fn source(role: Role, arguments: &Arguments, fields: &Fields, mistakes: &mut Mistakes) -> Source {
    match (arguments.literal(role), fields.get(role)) {
        (Some(literal), Some(_)) => {
            if literal.value.is_some() {
                let name = role.name();
                let message = format!("`{name}` is given here and as a field: keep one");
                mistakes.add(&literal.name, message);
            }
            Source::Mistaken
        }
        (
            Some(Literal {
                value: Some(value), ..
            }),
            None,
        ) => Source::Literal(value.clone()),
        (Some(_) | None, None) => Source::Mistaken,
        (None, Some(field)) => Source::Field {
            member: field.member.clone(),
            ty: Box::new(field.ty.clone()),
        },
    }
}
