use digime::Error;
use thiserror::Error as ThisError;

/// Why a call of this package failed, other than by an error of `digime`. It comes inside an [`Error`](digime::Error):
///
/// ```
/// use digime::Error;
/// use digime_import::ImportError;
///
/// fn is_another_person(error: &Error) -> bool {
///     matches!(error.as_extension(), Some(ImportError::AnotherPerson))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum ImportError {
    /// The client's base URL is that of API 1.5, which has no import. Nothing was sent.
    #[error(
        "the client's base URL is that of API 1.5, which has no import: make the client with `digime_import::client()`"
    )]
    PostboxApi,
    /// The client has a base URL of its own and no address of digi.me's pages, so that a test platform and the real pages would be
    /// mixed. Nothing was sent.
    #[error(
        "the client's base URL is not digi.me's, and it is not known where the pages of that platform are: add `.extension(OnboardingUrl::new(\"https://…\")?)` to the client"
    )]
    NoOnboardingUrl,
    /// The item says no account. The platform wants one. Nothing was sent.
    #[error(
        "the item does not say to whom it belongs: add the id that the person has with your application, `.account(\"customer-42\")`"
    )]
    NoAccount,
    /// The item's media type is empty. Nothing was sent.
    #[error("the item's media type is empty: give it one, `.mime_type(\"application/pdf\")`")]
    NoMediaType,
    /// What is said of the item is too long for a header. Nothing was sent.
    #[error(
        "the item's accounts, references and tags have {length} bytes as JSON, and a push takes at most {longest}: use fewer or shorter ones"
    )]
    DescriptorTooLong {
        /// The length in bytes.
        length: usize,
        /// The longest that is sent.
        longest: usize,
    },
    /// The consent that was to be renewed is one person's, and another person has consented. The code is spent, the tokens of that
    /// person were dropped, and the connection is as it was before.
    #[error(
        "another person has consented than the one whose consent was to be renewed: call `reauthorize` again and ask the same person to log in, or begin a new flow with `authorize` for the other"
    )]
    AnotherPerson,
}

impl From<ImportError> for Error {
    fn from(error: ImportError) -> Self {
        Self::extension(error)
    }
}
