//! Which fields have which roles, and which roles are missing.

use proc_macro2::Ident;
use syn::Member;
use syn::ext::IdentExt;

use super::Role;
use super::arguments::Arguments;
use crate::parse::{Mistakes, RoleField};
use crate::suggest::nearest;

/// The fields, by the role that they have.
pub struct Fields {
    with_role: Vec<(Role, RoleField)>,
    without_role: Vec<RoleField>,
    /// How many are marked with a role that there is not, and could be any that is missing.
    marked_wrongly: usize,
}

impl Fields {
    pub fn new(fields: Vec<RoleField>, mistakes: &mut Mistakes) -> Self {
        let mut sorted = Self {
            with_role: Vec::new(),
            without_role: Vec::new(),
            marked_wrongly: 0,
        };
        let mut misspelt = Vec::new();
        for field in fields {
            match role_of(&field, mistakes) {
                Ok(Some(role)) => sorted.add(role, field, mistakes),
                Ok(None) => sorted.without_role.push(field),
                Err(Unknown(Some(meant))) => misspelt.push((meant, field)),
                Err(Unknown(None)) => sorted.marked_wrongly += 1,
            }
        }
        for (meant, field) in misspelt {
            if sorted.get(meant).is_none() {
                sorted.with_role.push((meant, field));
            }
        }
        sorted
    }

    fn add(&mut self, role: Role, field: RoleField, mistakes: &mut Mistakes) {
        if self.get(role).is_some() {
            let name = role.name();
            let why = format!("a second field for the role `{name}`: a contract has one");
            match field.said.first() {
                Some(said) => mistakes.add(said, why),
                None => mistakes.add(&field.member, why),
            }
        } else {
            self.with_role.push((role, field));
        }
    }

    pub fn get(&self, role: Role) -> Option<&RoleField> {
        self.with_role
            .iter()
            .find(|(own, _)| *own == role)
            .map(|(_, field)| field)
    }

    /// The field without a role that looks as if it were meant to have this one.
    fn looks_like(&self, role: Role) -> Option<&RoleField> {
        let by_type = |field: &&RoleField| {
            field
                .type_name()
                .is_some_and(|name| name == role.type_name())
        };
        let by_name = |field: &&RoleField| match &field.member {
            Member::Named(name) => nearest(&name.unraw().to_string(), [role.name()]).is_some(),
            Member::Unnamed(_) => false,
        };
        let mut fields = self.without_role.iter();
        fields
            .clone()
            .find(by_type)
            .or_else(|| fields.find(by_name))
    }
}

/// A field is marked with a role that there is not; the mistake is recorded. Which one was meant can be seen or not.
struct Unknown(Option<Role>);

/// The role that a field says it has or, where it says nothing, that its name is.
fn role_of(field: &RoleField, mistakes: &mut Mistakes) -> Result<Option<Role>, Unknown> {
    let Some((said, more)) = field.said.split_first() else {
        return Ok(match &field.member {
            Member::Named(name) => Role::from_name(&name.unraw().to_string()),
            Member::Unnamed(_) => None,
        });
    };
    for said in more {
        mistakes.add(said, "a field has one role: remove this one");
    }
    let word = said.unraw().to_string();
    if let Some(role) = Role::from_name(&word) {
        return Ok(Some(role));
    }
    let meant = nearest(&word, Role::names())
        .and_then(Role::from_name)
        .or_else(|| Role::from_type(field));
    mistakes.add(said, match meant {
        Some(meant) => format!("unknown role `{word}`: did you mean `{}`?", meant.name()),
        None => format!(
            "unknown role `{word}`: there are `application_id`, `contract_id`, `private_key` and `redirect_uri`"
        ),
    });
    Err(Unknown(meant))
}

/// Tells which roles are missing: at the field that looks as if it were meant, or else at the struct's name.
pub fn tell_missing(
    arguments: &Arguments,
    fields: &Fields,
    owner: &Ident,
    mistakes: &mut Mistakes,
) {
    if fields.marked_wrongly > 0 {
        return;
    }
    let mut missing = Vec::new();
    for role in Role::ALL {
        if arguments.literal(role).is_some() || fields.get(role).is_some() {
            continue;
        }
        match fields.looks_like(role) {
            Some(field) => field.tell_to_mark(role, mistakes),
            None => missing.push(role),
        }
    }
    if let Some(message) = missing_message(&missing) {
        mistakes.add(owner, message);
    }
}

fn missing_message(missing: &[Role]) -> Option<String> {
    let listed = |of: fn(&Role) -> String| missing.iter().map(of).collect::<Vec<_>>().join(", ");
    let fields = listed(|role| format!("`{}: {}`", role.name(), role.type_name()));
    match missing {
        [] => None,
        [Role::PrivateKey] => Some(format!(
            "the contract's `private_key` is missing: add a field {fields}, or mark one with `#[digime(private_key)]`"
        )),
        [role] => {
            let name = role.name();
            Some(format!(
                "the contract's `{name}` is missing: add a field {fields}, or mark one with `#[digime({name})]`, \
                 or give `{name} = \"…\"` in the attribute"
            ))
        }
        _ => {
            let names = listed(|role| format!("`{}`", role.name()));
            Some(format!(
                "the contract's {names} are missing: add the fields {fields}, or mark others with `#[digime(role)]`"
            ))
        }
    }
}

impl RoleField {
    fn tell_to_mark(&self, role: Role, mistakes: &mut Mistakes) {
        let name = role.name();
        let message = format!(
            "the contract's `{name}` is missing: if this is it, mark the field with `#[digime({name})]`, or call it `{name}`"
        );
        match &self.member {
            Member::Named(field) => mistakes.add(field, message),
            Member::Unnamed(_) => mistakes.add(&self.ty, message),
        }
    }
}
