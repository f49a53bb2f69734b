//! What the codes and references stand for that an application puts into a link to the onboarding app.

use std::collections::HashMap;

use serde_json::Value;

/// A preauthorization code or a reference code of API 1.7: what the user is to be asked.
#[derive(Clone)]
pub(crate) struct Invitation {
    pub contract_id: String,
    pub purpose: Purpose,
    /// Who is to answer, if the application knows.
    pub user_id: Option<String>,
    pub redirect_uri: String,
    pub state: Option<String>,
    /// What is asked for, for a person to read.
    pub scope: Value,
    pub used: bool,
    /// Unix time in milliseconds.
    pub expiry: u64,
}

/// What an invitation is for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A consent, with this code challenge.
    Consent(String),
    /// A consent that takes the place of an earlier one, with this code challenge.
    Renewal(String),
    /// A further service, or an account that has to be authorized again.
    Service,
}

/// A value that `POST reference` has hidden behind an id.
pub(crate) struct Reference {
    pub contract_id: String,
    pub kind: ReferenceKind,
    /// Unix time in milliseconds.
    pub expiry: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReferenceKind {
    /// A storage of the application, for `storageRef`.
    Storage,
    /// An account, for `accountRef`.
    Account,
}

/// The invitations by their codes, and the references by their ids.
#[derive(Default)]
pub(crate) struct Invitations {
    pub by_code: HashMap<String, Invitation>,
    pub references: HashMap<String, Reference>,
}

impl Invitations {
    /// Lets everything expire that has not.
    pub(super) fn expire(&mut self, now: u64) {
        for invitation in self.by_code.values_mut() {
            invitation.expiry = invitation.expiry.min(now);
        }
    }

    /// Forgets what is asked of a user.
    pub(crate) fn forget_user(&mut self, user_id: &str) {
        self.by_code
            .retain(|_, invitation| invitation.user_id.as_deref() != Some(user_id));
    }

    /// Forgets what has long expired.
    pub(super) fn sweep(&mut self, is_over: impl Fn(u64) -> bool) {
        self.by_code
            .retain(|_, invitation| !is_over(invitation.expiry));
        self.references
            .retain(|_, reference| !is_over(reference.expiry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation(user_id: &str) -> Invitation {
        Invitation {
            contract_id: "c".into(),
            purpose: Purpose::Service,
            user_id: Some(user_id.into()),
            redirect_uri: String::new(),
            state: None,
            scope: Value::Null,
            used: false,
            expiry: 5,
        }
    }

    #[test]
    fn invitations_and_references_are_forgotten_after_they_have_expired() {
        let mut invitations = Invitations::default();
        let by_code = &mut invitations.by_code;
        by_code.insert("a".into(), invitation("a"));
        by_code.insert("b".into(), invitation("b"));
        let reference = Reference {
            contract_id: "c".into(),
            kind: ReferenceKind::Storage,
            expiry: 5,
        };
        invitations.references.insert("r".into(), reference);
        invitations.forget_user("a");
        assert!(!invitations.by_code.contains_key("a"));
        invitations.sweep(|expiry| expiry < 5);
        assert_eq!(
            (invitations.by_code.len(), invitations.references.len()),
            (1, 1)
        );
        invitations.expire(4);
        invitations.sweep(|expiry| expiry < 5);
        assert_eq!(
            (invitations.by_code.len(), invitations.references.len()),
            (0, 1)
        );
        invitations.sweep(|expiry| expiry <= 5);
        assert!(invitations.references.is_empty());
    }
}
