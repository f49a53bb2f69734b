use thiserror::Error;

/// Why a string is not an id that digi.me issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// It is empty, or nothing but whitespace.
    #[error("the id is empty: copy it from the contract that digi.me issued")]
    Empty,
    /// It begins or ends with whitespace, usually from copying it.
    #[error("the id has whitespace around it: remove the whitespace")]
    Padded,
    /// It contains a line break or another control character.
    #[error(
        "the id has a control character in it: copy it again from the contract that digi.me issued"
    )]
    Control,
}

/// Checks an application id or a contract id.
///
/// # Errors
/// Returns the rule that the id breaks.
pub fn check_id(id: &str) -> Result<(), IdError> {
    if id.trim().is_empty() {
        Err(IdError::Empty)
    } else if id.trim() != id {
        Err(IdError::Padded)
    } else if id.chars().any(char::is_control) {
        Err(IdError::Control)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_any_string_that_is_neither_empty_nor_padded() {
        for id in ["app-1", "app 1/ü", "fqHbIaCOZxWsBJRlvBvB6mF8CXHbLPc3"] {
            assert_eq!(check_id(id), Ok(()), "{id:?}");
        }
        for (id, why) in [
            ("", IdError::Empty),
            (" \t", IdError::Empty),
            (" app-1", IdError::Padded),
            ("app-1\n", IdError::Padded),
            ("app\u{0}1", IdError::Control),
        ] {
            assert_eq!(check_id(id), Err(why), "{id:?}");
        }
    }
}
