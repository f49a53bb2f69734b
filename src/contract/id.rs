use std::fmt;
use std::str::FromStr;

use digime_rules::{IdError, check_id};
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes the id as digi.me issued it.
            ///
            /// # Errors
            /// [`IdError`] when it is empty, or has whitespace around it or a control character in it.
            pub fn new(id: impl Into<String>) -> Result<Self, IdError> {
                let id = id.into();
                check_id(&id)?;
                Ok(Self(id))
            }

            /// The id as a string.
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
    ApplicationId
}

id! {
    /// The id that digi.me issued to the contract.
    ///
    /// ```
    /// # use digime::ContractId;
    /// let id: ContractId = "fqHbIaCOZxWsBJRlvBvB6mF8CXHbLPc3".parse()?;
    /// # Ok::<(), digime::error::IdError>(())
    /// ```
    ContractId
}
