use std::fmt;
use std::str::FromStr;

use digime_rules::{IdError, check_id};
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$docs:meta])* $name:ident, $example:literal) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
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

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(id: String) -> Result<Self, IdError> {
                Self::new(id)
            }
        }
    };
}

id! {
    /// The id that digi.me issued to the application.
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
    /// The id that digi.me issued to the contract.
    ///
    /// ```
    /// # use digime::ContractId;
    /// let id: ContractId = "fqHbIaCOZxWsBJRlvBvB6mF8CXHbLPc3".parse()?;
    /// # Ok::<(), digime::error::IdError>(())
    /// ```
    ContractId, "fqHbIaCOZxWsBJRlvBvB6mF8CXHbLPc3"
}
