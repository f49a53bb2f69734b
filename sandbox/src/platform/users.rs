//! The people of API 1.7, each with a library and accounts at services.

use std::collections::{HashMap, HashSet};

use crate::random;

/// How many accounts of a user are kept. The oldest are dropped first.
const MOST_ACCOUNTS: usize = 100;

/// The people, by their ids.
#[derive(Default)]
pub(crate) struct Users(HashMap<String, User>);

/// A person.
#[derive(Default)]
pub(crate) struct User {
    pub accounts: Vec<Account>,
    /// The id of the consent under each contract.
    consents: HashMap<String, String>,
    /// The contracts that may push to providers.
    pushers: HashSet<String>,
    /// When the last consent was given, in Unix milliseconds.
    since: u64,
}

/// An account at a service, which was added while the user consented.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub id: String,
    /// What the callback calls it.
    pub reference: String,
    pub service: u64,
    /// Whether data can be pushed to it.
    pub takes_pushes: bool,
    pub is_sample: bool,
    /// When it was added, in Unix milliseconds.
    pub since: u64,
}

impl Account {
    pub(crate) fn new(service: Option<u64>, takes_pushes: bool, is_sample: bool, now: u64) -> Self {
        Self {
            id: random::key(),
            reference: random::key(),
            service: service.unwrap_or(1),
            takes_pushes,
            is_sample,
            since: now,
        }
    }
}

impl Users {
    pub(crate) fn get(&self, user_id: &str) -> Option<&User> {
        self.0.get(user_id)
    }

    pub(crate) fn get_mut(&mut self, user_id: &str) -> Option<&mut User> {
        self.0.get_mut(user_id)
    }

    /// Notes that a person consents under a contract now. Returns the id of the consent, which is the same each time.
    pub(crate) fn consent(&mut self, user_id: &str, contract_id: &str, now: u64) -> String {
        let user = self.0.entry(user_id.to_owned()).or_default();
        user.since = now;
        let consent = user.consents.entry(contract_id.to_owned());
        consent.or_insert_with(random::key).clone()
    }

    pub(crate) fn has_consent(&self, user_id: &str, contract_id: &str) -> bool {
        let user = self.0.get(user_id);
        user.is_some_and(|user| user.consents.contains_key(contract_id))
    }

    pub(crate) fn has_account(&self, account_id: &str) -> bool {
        let mut users = self.0.values();
        users.any(|user| user.account(account_id).is_some())
    }

    pub(crate) fn delete(&mut self, user_id: &str) {
        self.0.remove(user_id);
    }

    /// Forgets the people whose last consent is long over.
    pub(super) fn sweep(&mut self, is_over: impl Fn(u64) -> bool) {
        self.0.retain(|_, user| !is_over(user.since));
    }
}

impl User {
    pub(crate) fn account(&self, account_id: &str) -> Option<&Account> {
        self.accounts.iter().find(|it| it.id == account_id)
    }

    /// Adds an account under a contract.
    pub(crate) fn add(&mut self, account: Account, contract_id: &str) {
        if account.takes_pushes {
            self.pushers.insert(contract_id.to_owned());
        }
        self.accounts.push(account);
        if self.accounts.len() > MOST_ACCOUNTS {
            self.accounts.remove(0);
        }
    }

    /// Whether there was such an account.
    pub(crate) fn delete_account(&mut self, account_id: &str) -> bool {
        let before = self.accounts.len();
        self.accounts.retain(|account| account.id != account_id);
        self.accounts.len() < before
    }

    /// Whether the consent under a contract was given with `sourceType=push`.
    pub(crate) fn lets_push(&self, contract_id: &str) -> bool {
        self.pushers.contains(contract_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_remembered_from_the_last_consent_on() {
        let mut users = Users::default();
        let first = users.consent("a", "c", 1);
        assert_eq!(users.consent("a", "c", 5), first);
        assert_ne!(users.consent("a", "d", 5), first);
        users.sweep(|since| since < 5);
        assert!(users.get("a").is_some());
        users.sweep(|since| since <= 5);
        assert!(users.get("a").is_none());
    }

    #[test]
    fn the_oldest_accounts_are_dropped_when_there_are_too_many() {
        let mut user = User::default();
        for service in 0..=MOST_ACCOUNTS as u64 {
            user.add(Account::new(Some(service), false, false, 0), "c");
        }
        assert_eq!(user.accounts.len(), MOST_ACCOUNTS);
        assert_eq!(user.accounts[0].service, 1);
    }
}
