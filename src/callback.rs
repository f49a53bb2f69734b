//! The answer of the user's client: the parameters of the callback URL.

use std::fmt;

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use thiserror::Error;
use url::form_urlencoded;

use crate::excerpt::excerpt;

/// The answer of the user's client, read from the query of the callback URL. It is not trusted: the flow that takes it
/// checks it.
///
/// ```
/// use digime::Callback;
///
/// let callback = Callback::from_url("https://shop.example/digime?result=CANCEL&state=x")?;
/// assert_eq!(callback.state(), Some("x"));
///
/// let twice = Callback::from_query("result=SUCCESS&result=CANCEL").unwrap_err();
/// assert!(twice.to_string().contains("`result` is repeated"));
/// # Ok::<(), digime::error::CallbackError>(())
/// ```
///
/// `Callback` implements `Deserialize`, so a web framework's query extractor can read it.
#[derive(Clone)]
pub struct Callback {
    pub(crate) result: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) postbox_id: Option<String>,
    pub(crate) public_key: Option<String>,
    pub(crate) code: Option<AuthorizationCode>,
    /// The other parameters, which a library may read.
    others: Vec<(String, String)>,
}

/// The code that an ongoing contract's callback brings (RFC 6749, section 4.1.2). It is exchanged once.
#[derive(Clone, Debug)]
#[expect(unnameable_types, reason = "it appears only in sealed traits")]
pub struct AuthorizationCode(SecretString);

impl AuthorizationCode {
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for AuthorizationCode {
    fn from(code: String) -> Self {
        Self(code.into())
    }
}

/// Why a callback is not the answer that a flow waits for. The flow can still take the right one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The user declined: `result` is `CANCEL`.
    #[error(
        "the user declined, and no postbox was made: ask again with the same link, or begin a new flow"
    )]
    Cancelled,
    /// The user did not consent on digi.me's page, or the page failed.
    #[error(
        "the user has not consented ({}): ask again, with a new link", excerpt(.code, LONGEST_SHOWN)
    )]
    NotConsented {
        /// digi.me's code for the reason.
        code: String,
    },
    /// The user's client failed: `result` is `ERROR`.
    #[error(
        "the user's digi.me client reported an error: ask the user to try the link again, or begin a new flow"
    )]
    Failed,
    /// `result` is a value that the protocol does not define.
    #[error(
        "the callback's `result` is none of SUCCESS, POSTBOX_READY, CANCEL and ERROR: it does not come from a digi.me client"
    )]
    UnknownResult,
    /// A parameter has a value that the protocol does not define.
    #[error(
        "the callback's `{0}` has a value that the protocol does not define: it does not come from digi.me"
    )]
    Unknown(&'static str),
    /// The `state` is not this flow's (RFC 6749, section 10.12).
    #[error(
        "the callback belongs to another flow: take the flow that waits under the callback's `state`"
    )]
    AnotherFlow,
    /// A parameter is missing or empty.
    #[error("the callback has no `{0}`: pass the whole URL that was called, with its query")]
    Missing(&'static str),
    /// A parameter is repeated (RFC 6749, section 3.1), so it is not known which one is meant.
    #[error("the callback's `{0}` is repeated: reject the request, it may have been tampered with")]
    Twice(&'static str),
    /// A `state` or `code` is longer than 4096 bytes, too long for the request that would send it.
    #[error(
        "the callback's `{0}` is longer than 4096 bytes: reject the request, it may have been tampered with"
    )]
    TooLong(&'static str),
    /// `postboxId` can't be an id, or is longer than 256 bytes.
    #[error(
        "the callback's `postboxId` is not an id: reject the request, it may have been tampered with"
    )]
    PostboxId,
    /// `publicKey` is not PEM, not RSA, not of 2048 to 8192 bits, or longer than 16 KiB.
    #[error(
        "the callback's `publicKey` is not an RSA key of 2048 to 8192 bits: reject the request, since nothing may be encrypted to such a key"
    )]
    PublicKey,
    /// The code was exchanged before, and its tokens were given to another call.
    #[error(
        "the callback's code was exchanged before: use the flow that the first call returned, or begin a new flow if it is lost"
    )]
    AlreadyExchanged,
    /// The application's closure that names the user panicked.
    #[error(
        "the closure that names the user panicked: nothing was sent, and the flow still waits; see the panic's message"
    )]
    UserPanicked,
    /// The string is not a URL with a query.
    #[error("the callback URL has no query: pass the whole URL that was called")]
    NoQuery,
}

/// The longest `state` or `code` in bytes. A flow's own state has 43 bytes. A code is sent in the header of a request, and
/// servers limit headers to 8 KiB or little more.
const LONGEST: usize = 4096;

/// How many characters of a code an error shows.
const LONGEST_SHOWN: usize = 64;

impl Callback {
    const EMPTY: Self = Self {
        result: None,
        state: None,
        postbox_id: None,
        public_key: None,
        code: None,
        others: Vec::new(),
    };

    /// Reads the URL that was called: an absolute URL, or its path and query.
    ///
    /// ```
    /// # use digime::Callback;
    /// let callback = Callback::from_url("/digime?result=SUCCESS&state=x&code=y")?;
    /// assert_eq!(callback.state(), Some("x"));
    /// # Ok::<(), digime::error::CallbackError>(())
    /// ```
    ///
    /// # Errors
    /// - [`CallbackError::NoQuery`] if there is no query.
    /// - [`CallbackError::Twice`] if a parameter is repeated.
    /// - [`CallbackError::TooLong`] if the `state` or the `code` is longer than 4096 bytes.
    pub fn from_url(url: impl AsRef<str>) -> Result<Self, CallbackError> {
        let url = url.as_ref().trim();
        let before_fragment = url.split_once('#').map_or(url, |(before, _)| before);
        let (_, query) = before_fragment
            .split_once('?')
            .ok_or(CallbackError::NoQuery)?;
        Self::from_query(query)
    }

    /// Reads the query of the URL that was called, without its `?`.
    ///
    /// ```
    /// # use digime::Callback;
    /// let callback = Callback::from_query("result=CANCEL&state=x")?;
    /// assert_eq!(callback.state(), Some("x"));
    /// # Ok::<(), digime::error::CallbackError>(())
    /// ```
    ///
    /// # Errors
    /// - [`CallbackError::Twice`] if a parameter is repeated.
    /// - [`CallbackError::TooLong`] if the `state` or the `code` is longer than 4096 bytes.
    pub fn from_query(query: &str) -> Result<Self, CallbackError> {
        let mut callback = Self::EMPTY;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match Parameter::named(&name) {
                Some(parameter) => callback.set(parameter, value.into_owned())?,
                None => callback
                    .others
                    .push((name.into_owned(), value.into_owned())),
            }
        }
        Ok(callback)
    }

    /// The `state` that came back. It is the [`state`](crate::Flow::state) of the flow that waits for this callback.
    ///
    /// ```
    /// # use digime::Callback;
    /// let callback = Callback::from_query("result=SUCCESS&state=x")?;
    /// assert_eq!(callback.state(), Some("x"));
    /// # Ok::<(), digime::error::CallbackError>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// A parameter that the callbacks of a library's flow have, and those of a postbox's flow do not. `None` if it is missing.
    ///
    /// ```
    /// # use digime::Callback;
    /// let callback = Callback::from_query("success=false&errorCode=declined&state=x")?;
    /// assert_eq!(callback.parameter("errorCode")?, Some("declined"));
    /// assert_eq!(callback.parameter("accountReference")?, None);
    /// # Ok::<(), digime::error::CallbackError>(())
    /// ```
    ///
    /// # Errors
    /// [`CallbackError::Twice`] if it is repeated, [`CallbackError::TooLong`] if it is longer than 4096 bytes.
    pub fn parameter(&self, name: &'static str) -> Result<Option<&str>, CallbackError> {
        let mut values = self.others.iter().filter(|(own, _)| own == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(CallbackError::Twice(name)),
            (Some((_, value)), None) if value.len() > LONGEST => Err(CallbackError::TooLong(name)),
            (value, None) => Ok(value.map(|(_, value)| value.as_str())),
        }
    }

    /// The SHA-256 of the code, as hex. It identifies the code and does not reveal it.
    pub(crate) fn code_sha256(&self) -> Option<String> {
        let code = self.code.as_ref()?.expose();
        Some(hex::encode(digest::digest(
            &digest::SHA256,
            code.as_bytes(),
        )))
    }

    fn set(&mut self, parameter: Parameter, value: String) -> Result<(), CallbackError> {
        fn once<T>(
            slot: &mut Option<T>,
            name: &'static str,
            value: T,
        ) -> Result<(), CallbackError> {
            match slot.replace(value) {
                None => Ok(()),
                Some(_) => Err(CallbackError::Twice(name)),
            }
        }
        let name = parameter.name();
        if matches!(parameter, Parameter::State | Parameter::Code) && value.len() > LONGEST {
            return Err(CallbackError::TooLong(name));
        }
        match parameter {
            Parameter::Result => once(&mut self.result, name, value),
            Parameter::State => once(&mut self.state, name, value),
            Parameter::PostboxId => once(&mut self.postbox_id, name, value),
            Parameter::PublicKey => once(&mut self.public_key, name, value),
            Parameter::Code => once(&mut self.code, name, value.into()),
        }
    }
}

/// A parameter that the protocol defines.
#[derive(Clone, Copy)]
enum Parameter {
    Result,
    State,
    PostboxId,
    PublicKey,
    Code,
}

impl Parameter {
    const ALL: [Self; 5] = [
        Self::Result,
        Self::State,
        Self::PostboxId,
        Self::PublicKey,
        Self::Code,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::State => "state",
            Self::PostboxId => "postboxId",
            Self::PublicKey => "publicKey",
            Self::Code => "code",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|parameter| parameter.name() == name)
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

/// The value of a parameter that this library does not know.
#[derive(Deserialize)]
#[serde(untagged)]
enum Other {
    Text(String),
    Ignored(IgnoredAny),
}

impl<'de> Deserialize<'de> for Callback {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parameters;

        impl<'de> Visitor<'de> for Parameters {
            type Value = Callback;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the parameters of a digi.me callback")
            }

            /// serde's own error would quote the string.
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Callback, E> {
                Err(E::custom(
                    "a string is not the parameters of a digi.me callback",
                ))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Callback, A::Error> {
                let mut callback = Callback::EMPTY;
                while let Some(name) = map.next_key::<String>()? {
                    match Parameter::named(&name) {
                        Some(parameter) => {
                            let value = map.next_value().map_err(|_| {
                                A::Error::custom(format_args!(
                                    "the callback's `{}` is not a string",
                                    parameter.name()
                                ))
                            })?;
                            callback.set(parameter, value).map_err(A::Error::custom)?;
                        }
                        None => {
                            if let Other::Text(value) = map.next_value()? {
                                callback.others.push((name, value));
                            }
                        }
                    }
                }
                Ok(callback)
            }
        }

        if deserializer.is_human_readable() {
            // `deserialize_map` would make serde_json quote a string that is no map.
            deserializer.deserialize_any(Parameters)
        } else {
            deserializer.deserialize_map(Parameters)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_read_from_a_url_and_others_are_left_alone() {
        let url = "https://a.example/cb?mine=1&mine=2&result=SUCCESS&postboxId=p%201&publicKey=a%2Bb&code=hush&state=s#x?state=t";
        let callback = Callback::from_url(url).expect("a callback");
        assert_eq!(callback.result.as_deref(), Some("SUCCESS"));
        assert_eq!(callback.postbox_id.as_deref(), Some("p 1"));
        assert_eq!(callback.public_key.as_deref(), Some("a+b"));
        assert_eq!(callback.state(), Some("s"));
        assert_eq!(callback.code.as_ref().expect("a code").expose(), "hush");
        assert!(!format!("{callback:?}").contains("hush"));
    }

    #[test]
    fn a_repeated_parameter_is_refused_by_every_reader() {
        for name in ["result", "state", "postboxId", "publicKey", "code"] {
            let query = format!("{name}=a&x=y&{name}=a");
            assert_eq!(
                Callback::from_query(&query).unwrap_err(),
                CallbackError::Twice(name)
            );
            let json = format!(r#"{{"{name}":"a","x":1,"{name}":"a"}}"#);
            let error = serde_json::from_str::<Callback>(&json)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(&CallbackError::Twice(name).to_string()),
                "{error}"
            );
        }
    }

    #[test]
    fn a_state_or_code_that_is_too_long_is_refused_by_every_reader() {
        for name in ["state", "code"] {
            let value = |length| "a".repeat(length);
            assert!(Callback::from_query(&format!("{name}={}", value(4096))).is_ok());
            let error = Callback::from_query(&format!("{name}={}", value(4097))).unwrap_err();
            assert_eq!(error, CallbackError::TooLong(name));
            let json = format!(r#"{{"{name}":"{}"}}"#, value(4097));
            let read = serde_json::from_str::<Callback>(&json).unwrap_err();
            assert!(read.to_string().contains(&error.to_string()), "{read}");
        }
    }

    #[test]
    fn a_parameter_of_a_library_is_read_once_and_others_may_be_anything() {
        let callback = Callback::from_query("a=1&b=2&b=2&state=s").expect("a callback");
        assert_eq!(callback.parameter("a"), Ok(Some("1")));
        assert_eq!(callback.parameter("b"), Err(CallbackError::Twice("b")));
        assert_eq!(callback.parameter("c"), Ok(None));
        let json = r#"{"a":"1","b":["x"],"c":{"d":1},"state":"s"}"#;
        let callback: Callback = serde_json::from_str(json).expect("a callback");
        assert_eq!(callback.parameter("a"), Ok(Some("1")));
        assert_eq!(callback.parameter("b"), Ok(None));
        let long = format!("a={}", "x".repeat(4097));
        let callback = Callback::from_query(&long).expect("a callback");
        assert_eq!(callback.parameter("a"), Err(CallbackError::TooLong("a")));
    }

    #[test]
    fn an_invalid_callback_is_not_quoted() {
        let long = "hush ".repeat(100_000);
        for json in [
            format!("\"{long}\""),
            r#"{"code":20261124}"#.to_owned(),
            format!(r#"{{"{long}":"a","{long}":"b","state":["{long}"]}}"#),
        ] {
            let error = serde_json::from_str::<Callback>(&json)
                .unwrap_err()
                .to_string();
            assert!(
                error.len() < 200 && !error.contains("hush") && !error.contains("2026"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_url_without_a_query_is_no_callback() {
        for url in ["", "https://a.example/cb", "https://a.example/cb#?state=s"] {
            assert_eq!(Callback::from_url(url).unwrap_err(), CallbackError::NoQuery);
        }
    }

    proptest! {
        #[test]
        fn no_string_makes_a_reader_panic(text in "\\PC*") {
            let _ = Callback::from_url(&text);
            let _ = Callback::from_query(&text);
            let _ = serde_json::from_str::<Callback>(&text);
        }

        #[test]
        fn encoded_parameters_are_read_back(state in "\\PC+", id in "\\PC+") {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("postboxId", &id)
                .append_pair("state", &state)
                .finish();
            let callback = Callback::from_query(&query).expect("a callback");
            prop_assert_eq!(callback.state(), Some(state.as_str()));
            prop_assert_eq!(callback.postbox_id, Some(id));
        }
    }
}
