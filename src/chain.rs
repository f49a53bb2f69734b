//! Prints an error with its causes, for a log or a terminal.

use std::error::Error;
use std::fmt;

/// An error and its sources in one line, separated by colons.
pub(crate) struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::error::StoreError;

    #[test]
    fn an_error_of_a_store_is_printed_with_the_cause_in_the_words_of_its_database() {
        let error = StoreError::failed(std::io::Error::other("the disk is full"));
        assert!(!error.to_string().contains("disk"), "{error}");
        let printed = Chain(&error).to_string();
        assert_eq!(printed, format!("{error}: the disk is full"));
    }
}
