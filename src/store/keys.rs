//! The keys under which stores keep records. No two contracts and names have the same key.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::flow::suspended::ContractIds;

/// What is escaped in a key: the separators of its parts, and what a database may refuse.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'/').add(b' ');

/// The key of what is kept for a contract under a name.
pub fn key(contract: &ContractIds, name: &str) -> String {
    format!("{}{}", prefix(contract), escaped(name))
}

/// What the keys of a contract begin with, and no others.
fn prefix(contract: &ContractIds) -> String {
    let (application, contract) = (contract.application_id(), contract.contract_id());
    format!("{}/{} ", escaped(application), escaped(contract))
}

fn escaped(part: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(part, ESCAPED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{ApplicationId, ContractId};

    fn ids(application: &str, contract: &str) -> ContractIds {
        ContractIds::new(
            &ApplicationId::new(application).expect("an id"),
            &ContractId::new(contract).expect("an id"),
        )
    }

    #[test]
    fn no_two_contracts_and_names_share_a_key() {
        let keys = [
            key(&ids("a/b", "c"), "d"),
            key(&ids("a", "b/c"), "d"),
            key(&ids("a", "b"), "c d"),
            key(&ids("a", "b c"), "d"),
            key(&ids("a", "b%20c"), "d"),
            key(&ids("a", "b"), "c%20d"),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    }

    #[test]
    fn a_key_has_no_character_that_a_database_refuses() {
        assert_eq!(key(&ids("a", "b"), "c\0d\n"), "a/b c%00d%0A");
        assert_eq!(
            key(&ids("app-1", "contract_1"), "x-Y_z.~"),
            "app-1/contract_1 x-Y_z.~"
        );
    }
}
