//! What a text from outside may say in an error or a log.

/// The longest text of the platform's that is taken into an error, in characters.
const LONGEST_TEXT: usize = 300;

/// The longest word that is taken. Tokens are longer.
const LONGEST_WORD: usize = 64;

const REDACTED: &str = "[redacted]";

/// What a request sends and nobody may read in an error: a platform may echo it, in its answer's words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Redaction<'a>(pub &'a [&'a str]);

impl Redaction<'_> {
    /// A text from outside as one line, bounded, without the secrets of the request and without words that are as long
    /// as tokens are.
    pub fn line(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.0.iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, REDACTED);
        }
        let word = |word: &str| match word.len() {
            0..=LONGEST_WORD => word.to_owned(),
            _ => REDACTED.to_owned(),
        };
        let line = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .map(word)
            .collect::<Vec<_>>()
            .join(" ");
        line.trim().chars().take(LONGEST_TEXT).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_becomes_one_line_without_tokens() {
        let token = "ey.".repeat(40);
        let nothing = Redaction::default();
        assert_eq!(
            nothing.line(&format!("bad\n token {token}\u{7}!")),
            "bad  token [redacted] !"
        );
        assert_eq!(
            nothing.line(&"a ".repeat(1000)).chars().count(),
            LONGEST_TEXT
        );
    }

    #[test]
    fn what_was_sent_is_redacted_whatever_its_length() {
        let verifier = "v".repeat(43);
        let redaction = Redaction(&["c0de", &verifier, ""]);
        assert_eq!(
            redaction.line(&format!("code=c0de&code_verifier={verifier}")),
            "code=[redacted]&code_verifier=[redacted]"
        );
    }

    #[test]
    fn a_secret_with_spaces_in_it_is_redacted() {
        assert_eq!(Redaction(&["a b"]).line("got a b"), "got [redacted]");
    }
}
