//! The keys under which stores keep records. No two contracts and names have the same key.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::flow::contract::Contract;
use crate::flow::suspended::{ContractIds, Parkable};

/// What is escaped in a key: the separators of its parts, and what a database may refuse.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'/').add(b' ');

/// Which contract it is.
pub(super) fn contract_ids(contract: &impl Contract) -> ContractIds {
    ContractIds::new(contract.application_id(), contract.contract_id())
}

/// The key of what is kept for a contract under a name.
pub(super) fn key(contract: &ContractIds, name: &str) -> String {
    format!("{}{}", prefix(contract), escaped(name))
}

/// The key of a flow that is parked in a state, under the key of its own. Unless the key is the `state` of a callback, the name
/// of a library's state keeps its keys from those of other libraries and of callbacks.
pub(super) fn parking_key<S: Parkable>(contract: &ContractIds, own_key: &str) -> String {
    if S::IS_CALLED_BACK {
        return key(contract, own_key);
    }
    let (state, own_key) = (escaped(S::NAME), escaped(own_key));
    format!("{}{state} {own_key}", prefix(contract))
}

/// The key of a postbox that is kept for a contract under a name. It is no key of tokens, since a name has no space in a
/// key.
pub(super) fn postbox_key(contract: &ContractIds, name: &str) -> String {
    format!("{}postbox {}", prefix(contract), escaped(name))
}

/// What the keys of a contract begin with, and no others.
pub(super) fn prefix(contract: &ContractIds) -> String {
    let (application, contract) = (contract.application_id(), contract.contract_id());
    format!("{}/{} ", escaped(application), escaped(contract))
}

/// The name of the user whose tokens are under a key, behind the contract's prefix. `None` for a key of something else.
pub(super) fn name(key: &str, prefix: &str) -> Option<String> {
    let escaped = key.strip_prefix(prefix)?;
    if escaped.contains(' ') {
        return None;
    }
    let name = percent_decode_str(escaped).decode_utf8().ok()?;
    Some(name.into_owned())
}

fn escaped(part: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(part, ESCAPED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{ApplicationId, ContractId};
    use crate::flow::suspended::{Durable, Resuming, SuspendedError};
    use crate::flow::{AwaitingCallback, Verifier};

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
            postbox_key(&ids("a", "b"), "c"),
            key(&ids("a", "b"), "postbox c"),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    }

    struct OfALibrary;

    impl Durable for OfALibrary {
        const NAME: &str = "Without its crate";
        type Kind = crate::kind::Ongoing;
        type Record = ();

        fn record(&self) {}

        fn from_record((): (), _: &Resuming<'_>) -> Result<Self, SuspendedError> {
            Ok(Self)
        }
    }

    impl Parkable for OfALibrary {
        fn parking_key((): &()) -> &'static str {
            "c d"
        }
    }

    #[test]
    fn a_state_of_a_library_shares_no_key_with_a_callback_whatever_its_name_is() {
        let ids = ids("a", "b");
        let awaiting = parking_key::<AwaitingCallback<Verifier>>(&ids, "c d");
        assert_eq!(awaiting, key(&ids, "c d"));
        assert_eq!(
            parking_key::<OfALibrary>(&ids, "c d"),
            "a/b Without%20its%20crate c%20d"
        );
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
