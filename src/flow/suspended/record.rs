use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::{Durable, SuspendedError};
use crate::contract::{ApplicationId, ContractId, Credentials};
use crate::excerpt::excerpt;

/// The version of the format that is written, and the latest that is read. Every earlier version can always be read: there
/// are tests with a sample of each.
const VERSION: u32 = 1;

/// How many characters of stored text an error shows.
pub(super) const LONGEST_SHOWN: usize = 64;

/// A suspended flow as it is serialized.
///
/// The fields that decide whether the rest can be read come first. Their names keep them first even if a map sorts them by
/// their letters, or PostgreSQL's `jsonb` by their length.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "D: Serialize", deserialize = "D: Deserialize<'de>"))]
pub(crate) struct SuspendedRecord<S: Durable, D = ()> {
    #[serde(rename = "fmt")]
    format: Version,
    state: StateName<S>,
    #[serde(deserialize_with = "unquoted")]
    pub contract: ContractIds,
    #[serde(rename = "state_data", deserialize_with = "unquoted")]
    pub payload: S::Record,
    #[serde(rename = "user_data", deserialize_with = "unquoted")]
    pub attached: D,
}

impl<S: Durable<Record: Clone>, D: Clone> Clone for SuspendedRecord<S, D> {
    fn clone(&self) -> Self {
        Self {
            format: Version,
            state: StateName(PhantomData),
            contract: self.contract.clone(),
            payload: self.payload.clone(),
            attached: self.attached.clone(),
        }
    }
}

/// Reads a field. serde's own errors may quote all of what they read, which is secret, so they are replaced.
fn unquoted<'de, T: Deserialize<'de>, E: Deserializer<'de>>(part: E) -> Result<T, E::Error> {
    T::deserialize(part).map_err(|_| E::Error::custom(SuspendedError::Damaged))
}

/// The ids of the contract that a flow belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContractIds {
    application_id: String,
    contract_id: String,
}

impl ContractIds {
    pub(crate) fn new(application_id: &ApplicationId, contract_id: &ContractId) -> Self {
        Self {
            application_id: application_id.as_str().to_owned(),
            contract_id: contract_id.as_str().to_owned(),
        }
    }

    pub(crate) fn of(credentials: &Credentials) -> Self {
        Self::new(&credentials.application_id, &credentials.contract_id)
    }

    pub(crate) fn application_id(&self) -> &str {
        &self.application_id
    }

    pub(crate) fn contract_id(&self) -> &str {
        &self.contract_id
    }

    pub(crate) fn check(&self, wanted: &Self) -> Result<(), SuspendedError> {
        if self == wanted {
            return Ok(());
        }
        Err(SuspendedError::AnotherContract {
            found: excerpt(&self.to_string(), LONGEST_SHOWN),
            wanted: excerpt(&wanted.to_string(), LONGEST_SHOWN),
        })
    }
}

impl fmt::Display for ContractIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.application_id, self.contract_id)
    }
}

impl<S: Durable> SuspendedRecord<S> {
    pub(crate) fn new(contract: ContractIds, payload: S::Record) -> Self {
        Self {
            format: Version,
            state: StateName(PhantomData),
            contract,
            payload,
            attached: (),
        }
    }

    pub(crate) fn with<D>(self, attached: D) -> SuspendedRecord<S, D> {
        SuspendedRecord {
            format: Version,
            state: self.state,
            contract: self.contract,
            payload: self.payload,
            attached,
        }
    }
}

impl<S: Durable, D> SuspendedRecord<S, D> {
    pub(crate) fn into_parts(self) -> (SuspendedRecord<S>, D) {
        (
            SuspendedRecord::new(self.contract, self.payload),
            self.attached,
        )
    }

    pub(crate) fn to_json(&self) -> Result<String, SuspendedError>
    where
        D: Serialize,
    {
        serde_json::to_string(self).map_err(|_| SuspendedError::Damaged)
    }

    /// Reads what serde wrote.
    pub(crate) fn read<'de, T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error>
    where
        D: Deserialize<'de>,
    {
        const FIELDS: &[&str] = &["fmt", "state", "contract", "state_data", "user_data"];
        if deserializer.is_human_readable() {
            // `deserialize_struct` of serde_json would quote a string that it finds instead of a struct.
            deserializer.deserialize_any(Whole(PhantomData))
        } else {
            deserializer.deserialize_struct("SuspendedRecord", FIELDS, Whole(PhantomData))
        }
    }

    /// Reads what [`Self::to_json`] wrote. serde's own errors may quote what they read, so they are replaced.
    pub(crate) fn from_json(json: &str) -> Result<Self, SuspendedError>
    where
        D: DeserializeOwned,
    {
        serde_json::from_str(json).map_err(|_| {
            Head::from_json(json)
                .and_then(|head| check_state::<S>(&head.state))
                .err()
                .unwrap_or(SuspendedError::Damaged)
        })
    }
}

/// What a record says of itself. It is read even if the rest is not that of a known state.
#[derive(Deserialize)]
pub(super) struct Head {
    fmt: u32,
    pub(super) state: String,
    /// A later version may write it in another way.
    #[serde(default)]
    contract: serde_json::Value,
}

impl Head {
    /// Reads the head of a record of a known version.
    pub(super) fn from_json(json: &str) -> Result<Self, SuspendedError> {
        let head: Self = serde_json::from_str(json).map_err(|_| SuspendedError::Damaged)?;
        check_version(head.fmt)?;
        Ok(head)
    }

    pub(super) fn contract(&self) -> Result<ContractIds, SuspendedError> {
        ContractIds::deserialize(&self.contract).map_err(|_| SuspendedError::Damaged)
    }
}

/// Reads all fields, and does not quote a string that it finds instead.
struct Whole<S, D>(PhantomData<fn() -> (S, D)>);

impl<'de, S: Durable, D: Deserialize<'de>> Visitor<'de> for Whole<S, D> {
    type Value = SuspendedRecord<S, D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a suspended flow")
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::custom(SuspendedError::Damaged))
    }

    fn visit_map<A: MapAccess<'de>>(self, parts: A) -> Result<Self::Value, A::Error> {
        SuspendedRecord::deserialize(MapAccessDeserializer::new(parts))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Self::Value, A::Error> {
        SuspendedRecord::deserialize(SeqAccessDeserializer::new(parts))
    }
}

fn check_version(version: u32) -> Result<(), SuspendedError> {
    match version {
        VERSION => Ok(()),
        0 => Err(SuspendedError::Damaged),
        later => Err(SuspendedError::LaterVersion(later)),
    }
}

/// Separates the state's name from the version of its record, where that is not the first.
const BEFORE_VERSION: char = '@';

fn check_state<S: Durable>(written: &str) -> Result<(), SuspendedError> {
    // A name may have the separator in it.
    let version = match written.strip_prefix(S::NAME) {
        Some("") => Some(1),
        Some(rest) => rest
            .strip_prefix(BEFORE_VERSION)
            .and_then(|version| version.parse().ok()),
        None => None,
    };
    let Some(version) = version else {
        return Err(SuspendedError::AnotherState {
            found: excerpt(written, LONGEST_SHOWN),
            wanted: S::NAME,
        });
    };
    if version > S::VERSION {
        return Err(SuspendedError::LaterRecord {
            state: S::NAME,
            version,
        });
    }
    Ok(())
}

/// The version, serialized as a number. A later one is an error.
struct Version;

impl Serialize for Version {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        serializer.serialize_u32(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        let version = unquoted(deserializer)?;
        check_version(version).map_err(T::Error::custom)?;
        Ok(Self)
    }
}

/// The name of the state, and the version of its record. Another state and a later version are errors.
struct StateName<S>(PhantomData<fn() -> S>);

impl<S: Durable> Serialize for StateName<S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        match S::VERSION {
            1 => serializer.serialize_str(S::NAME),
            later => serializer.collect_str(&format_args!("{}{BEFORE_VERSION}{later}", S::NAME)),
        }
    }
}

impl<'de, S: Durable> Deserialize<'de> for StateName<S> {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        let name: String = unquoted(deserializer)?;
        check_state::<S>(&name).map_err(T::Error::custom)?;
        Ok(Self(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::suspended::Resuming;

    struct Versioned<const NAME: usize, const VERSION: u32>;

    const LONG: &[u8] = &[b'x'; 10_000];

    /// Names that are hard to read.
    const NAMES: [&str; 4] = [
        "a::B@2",
        "a::B@x/ é\"\\\n",
        "",
        match std::str::from_utf8(LONG) {
            Ok(name) => name,
            Err(_) => "",
        },
    ];

    impl<const NAME: usize, const VERSION: u32> Durable for Versioned<NAME, VERSION> {
        const NAME: &str = NAMES[NAME];
        const VERSION: u32 = VERSION;
        type Kind = crate::kind::Ongoing;
        type Record = u8;

        fn record(&self) -> u8 {
            7
        }

        fn from_record(_: u8, _: &Resuming<'_>) -> Result<Self, SuspendedError> {
            Ok(Self)
        }
    }

    fn written<S: Durable<Record = u8>>() -> String {
        let ids = ContractIds {
            application_id: "a".into(),
            contract_id: "c".into(),
        };
        let record = SuspendedRecord::<S>::new(ids, 7);
        record.to_json().expect("JSON")
    }

    fn read<S: Durable<Record = u8>>(json: &str) -> Result<u8, SuspendedError> {
        Ok(SuspendedRecord::<S>::from_json(json)?.payload)
    }

    #[test]
    fn a_state_of_any_name_comes_back() {
        assert_eq!(
            read::<Versioned<0, 1>>(&written::<Versioned<0, 1>>()),
            Ok(7)
        );
        assert_eq!(
            read::<Versioned<1, 1>>(&written::<Versioned<1, 1>>()),
            Ok(7)
        );
        assert_eq!(
            read::<Versioned<1, 9>>(&written::<Versioned<1, 9>>()),
            Ok(7)
        );
        assert_eq!(
            read::<Versioned<2, 2>>(&written::<Versioned<2, 1>>()),
            Ok(7)
        );
        assert_eq!(
            read::<Versioned<3, 2>>(&written::<Versioned<3, 2>>()),
            Ok(7)
        );
    }

    #[test]
    fn a_later_record_and_another_state_are_told_apart() {
        let later = read::<Versioned<1, 1>>(&written::<Versioned<1, 2>>());
        assert!(
            matches!(later, Err(SuspendedError::LaterRecord { version: 2, .. })),
            "{later:?}"
        );
        let other = read::<Versioned<0, 1>>(&written::<Versioned<3, 2>>());
        let error = other.expect_err("another state").to_string();
        assert!(error.len() < 400, "{error}");
    }
}
