//! The nonces of request tokens, which are used once.

use std::collections::HashMap;

use crate::clock::is_over;
use crate::request_token::LONGEST_VALID;

/// Each nonce, and when it was used by the machine's clock. The sandbox's own clock may be moved, and then a token of a minute
/// ago could be used again.
#[derive(Default)]
pub(crate) struct Nonces(HashMap<String, u64>);

impl Nonces {
    /// Whether it is new. It is not new from now on.
    pub(crate) fn use_up(&mut self, nonce: &str, now: u64) -> bool {
        self.0.insert(nonce.to_owned(), now).is_none()
    }

    /// Forgets those with which no token can be valid any more.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.0.retain(|_, used| !is_over(*used, LONGEST_VALID, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_remembered_for_as_long_as_a_token_with_it_can_be_valid() {
        const MINUTE: u64 = 60 * 1000;
        let mut nonces = Nonces::default();
        assert!(nonces.use_up("n", 0));
        nonces.sweep(9 * MINUTE);
        assert!(!nonces.use_up("n", 0));
        nonces.sweep(11 * MINUTE);
        assert!(nonces.use_up("n", 11 * MINUTE));
    }
}
