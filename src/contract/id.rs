use std::fmt;
use std::str::FromStr;

use digime_rules::{IdError, check_id};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

macro_rules! id {
    ($(#[$docs:meta])* $name:ident, $example:literal) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(String);

        impl $name {
            /// Makes an id from the string that digi.me issued.
            ///
            /// ```
            #[doc = concat!("assert!(digime::", stringify!($name), "::new(\"", $example, "\").is_ok());")]
            #[doc = concat!("assert!(digime::", stringify!($name), "::new(\"\").is_err());")]
            /// ```
            ///
            /// # Errors
            /// [`IdError`] if the id is empty, or has whitespace around it or a control character in it.
            pub fn new(id: impl Into<String>) -> Result<Self, IdError> {
                let id = id.into();
                check_id(&id)?;
                Ok(Self(id))
            }

            /// The id as a string.
            ///
            /// ```
            #[doc = concat!("let id = digime::", stringify!($name), "::new(\"", $example, "\")?;")]
            #[doc = concat!("assert_eq!(id.as_str(), \"", $example, "\");")]
            /// # Ok::<(), digime::error::IdError>(())
            /// ```
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(id: &str) -> Result<Self, IdError> {
                Self::new(id)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(text_of(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(id: String) -> Result<Self, IdError> {
                Self::new(id)
            }
        }
    };
}

/// Reads a string, or an integer, since many configuration libraries make one of a string of digits. Formats that do not
/// say which of the two comes next have a string.
fn text_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_any(TextOrInteger)
    } else {
        String::deserialize(deserializer)
    }
}

struct TextOrInteger;

impl Visitor<'_> for TextOrInteger {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id in quotes, or an integer")
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<String, E> {
        Ok(id.to_owned())
    }

    fn visit_string<E: Error>(self, id: String) -> Result<String, E> {
        Ok(id)
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<String, E> {
        Ok(id.to_string())
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<String, E> {
        Ok(id.to_string())
    }
}

id! {
    /// The id that digi.me issued to the application.
    ///
    /// serde reads it from a string, or from an integer. Quote it in configuration files all the same: a format that takes it
    /// for a number drops its leading zeros, and a number with an `e` in it becomes another one.
    ///
    /// ```
    /// # use digime::ApplicationId;
    /// let id = ApplicationId::new("app-1")?;
    /// assert_eq!(id.as_str(), "app-1");
    /// assert!(ApplicationId::new(" app-1").is_err());
    /// # Ok::<(), digime::error::IdError>(())
    /// ```
    ApplicationId, "app-1"
}

id! {
    /// The id that digi.me issued to the contract. serde reads it as it reads an [`ApplicationId`].
    ///
    /// ```
    /// # use digime::ContractId;
    /// let id: ContractId = "fqHbIaCOZxWsBJRlvBvB6mF8CXHbLPc3".parse()?;
    /// # Ok::<(), digime::error::IdError>(())
    /// ```
    ContractId, "fqHbIaCOZxWsBJRlvBvB6mF8CXHbLPc3"
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::de::value::StrDeserializer;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_integer_is_the_id_of_its_digits() {
        for (value, id) in [
            (json!("007"), "007"),
            (json!(1234), "1234"),
            (json!(-5), "-5"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            let read: ContractId = serde_json::from_value(value).expect("an id");
            assert_eq!(read.as_str(), id);
        }
        let config: HashMap<String, ApplicationId> = toml::from_str("id = 42").expect("an id");
        assert_eq!(config["id"].as_str(), "42");
    }

    #[test]
    fn what_is_neither_a_string_nor_an_integer_is_refused() {
        for (value, what) in [
            (json!(1.5), "floating point `1.5`"),
            (json!(true), "boolean `true`"),
            (json!(null), "null"),
            (json!(["app"]), "sequence"),
        ] {
            let error = serde_json::from_value::<ApplicationId>(value).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid type: {what}, expected an id in quotes, or an integer")
            );
        }
        let error = serde_json::from_str::<ApplicationId>("\" app\"").unwrap_err();
        assert!(
            error.to_string().starts_with(&IdError::Padded.to_string()),
            "{error}"
        );
    }

    /// A format that can't say what comes next, as binary ones can't.
    struct Binary<'a>(&'a str);

    impl<'de> Deserializer<'de> for Binary<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(Self::Error::custom(
                "the format does not say what comes next",
            ))
        }

        fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            StrDeserializer::new(self.0).deserialize_string(visitor)
        }

        fn is_human_readable(&self) -> bool {
            false
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    #[test]
    fn a_format_that_does_not_describe_itself_has_a_string() {
        let id = ContractId::deserialize(Binary("receipts"));
        assert_eq!(id.expect("an id").as_str(), "receipts");
    }
}
