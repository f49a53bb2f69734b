//! Which fields have which roles, and which roles are missing.

use proc_macro2::Ident;
use syn::Member;
use syn::ext::IdentExt;

use super::Role;
use super::arguments::Arguments;
use crate::parse::{Mistakes, RoleField};
use crate::suggest::nearest;

/// The fields, by the role that they have.
pub(super) struct Fields {
    with_role: Vec<(Role, RoleField)>,
    without_role: Vec<RoleField>,
    /// The number of fields with an unknown role, each of which could be any missing role.
    mistaken: usize,
}

impl Fields {
    pub(super) fn new(fields: Vec<RoleField>, mistakes: &mut Mistakes) -> Self {
        let mut sorted = Self {
            with_role: Vec::new(),
            without_role: Vec::new(),
            mistaken: 0,
        };
        let mut misspelt = Vec::new();
        for field in fields {
            match role_of(&field, mistakes) {
                Ok(Some(role)) => sorted.add(role, field, mistakes),
                Ok(None) => sorted.without_role.push(field),
                Err(Unknown(Some(meant))) => misspelt.push((meant, field)),
                Err(Unknown(None)) => sorted.mistaken += 1,
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
            let why = format!("another field has the role `{name}` already: remove one of the two");
            match field.roles.first() {
                Some(role) => mistakes.add(role, why),
                None => mistakes.add(&field.member, why),
            }
        } else {
            self.with_role.push((role, field));
        }
    }

    pub(super) fn get(&self, role: Role) -> Option<&RoleField> {
        self.with_role
            .iter()
            .find(|(own, _)| *own == role)
            .map(|(_, field)| field)
    }

    /// The field without a role that is probably meant to have this one.
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

/// A field has an unknown role, which is a recorded mistake, and perhaps it is clear which role is meant.
struct Unknown(Option<Role>);

/// The role in the `#[digime(…)]` of a field or, without that, the role of its name.
fn role_of(field: &RoleField, mistakes: &mut Mistakes) -> Result<Option<Role>, Unknown> {
    let Some((first, more)) = field.roles.split_first() else {
        return Ok(match &field.member {
            Member::Named(name) => Role::from_name(&name.unraw().to_string()),
            Member::Unnamed(_) => None,
        });
    };
    for first in more {
        mistakes.add(first, "a field has one role: remove this one");
    }
    let word = first.unraw().to_string();
    if let Some(role) = Role::from_name(&word) {
        return Ok(Some(role));
    }
    let meant = nearest(&word, Role::names())
        .and_then(Role::from_name)
        .or_else(|| Role::from_type(field));
    mistakes.add(first, match meant {
        Some(meant) => format!("unknown role `{word}`: did you mean `{}`?", meant.name()),
        None => format!(
            "unknown role `{word}`: expected `application_id`, `contract_id`, `private_key` or `redirect_uri`"
        ),
    });
    Err(Unknown(meant))
}

/// Reports the missing roles: at the field that is probably meant, or else at the struct's name.
pub(super) fn report_missing(
    arguments: &Arguments,
    fields: &Fields,
    owner: &Ident,
    mistakes: &mut Mistakes,
) {
    if fields.mistaken > 0 {
        return;
    }
    let mut missing = Vec::new();
    for role in Role::ALL {
        if arguments.literal(role).is_some() || fields.get(role).is_some() {
            continue;
        }
        match fields.looks_like(role) {
            Some(field) => field.report_unmarked(role, mistakes),
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
                "the contract's {names} are missing: add the fields {fields}, or mark other fields with `#[digime(role)]`"
            ))
        }
    }
}

impl RoleField {
    fn report_unmarked(&self, role: Role, mistakes: &mut Mistakes) {
        let name = role.name();
        let message = format!(
            "the contract's `{name}` is missing: if this field is it, mark it with `#[digime({name})]` or name it `{name}`"
        );
        match &self.member {
            Member::Named(field) => mistakes.add(field, message),
            Member::Unnamed(_) => mistakes.add(&self.ty, message),
        }
    }
}
