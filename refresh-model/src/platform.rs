//! The platform: grants, and refresh tokens that can be used once.

/// A refresh token: the `n`th of a grant.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token {
    /// Which consent it belongs to: 0 for the first, 1 for the second.
    pub grant: u8,
    /// How many refreshes came before it.
    pub n: u8,
}

/// The first token of the first grant.
pub const FIRST: Token = Token { grant: 0, n: 0 };

/// One consent, as the platform knows it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Grant {
    /// The number of the only valid refresh token.
    pub current: u8,
    /// The consent was withdrawn.
    pub ended: bool,
}

/// All grants that the user ever gave. The last one is the newest.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Platform {
    grants: Vec<Grant>,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            grants: vec![Grant::default()],
        }
    }
}

impl Platform {
    /// Exchanges a token for the next one, or refuses it because it was used before or its grant has ended.
    pub fn exchange(&mut self, token: Token) -> Option<Token> {
        if !self.is_good(token) {
            return None;
        }
        let grant = &mut self.grants[usize::from(token.grant)];
        grant.current += 1;
        Some(Token {
            grant: token.grant,
            n: grant.current,
        })
    }

    /// Whether the token could still be exchanged.
    #[must_use]
    pub fn is_good(&self, token: Token) -> bool {
        let grant = self.grants[usize::from(token.grant)];
        !grant.ended && grant.current == token.n
    }

    /// The user consents again, which may or may not end the earlier grant.
    pub fn consent_again(&mut self, ends_earlier: bool) -> Token {
        if ends_earlier {
            self.withdraw();
        }
        self.grants.push(Grant::default());
        self.newest()
    }

    /// The user withdraws the newest consent.
    pub fn withdraw(&mut self) {
        if let Some(grant) = self.grants.last_mut() {
            grant.ended = true;
        }
    }

    /// The valid token of the newest grant.
    #[must_use]
    pub fn newest(&self) -> Token {
        let grant = self.grants.len() - 1;
        Token {
            grant: u8::try_from(grant).unwrap_or(u8::MAX),
            n: self.grants[grant].current,
        }
    }
}
