//! Removes secrets from the strings of the platform that are shown in an error or a log.
//!
//! A secret is recognized in its usual encodings and in pieces of them. Only letters and digits are compared, in lower case,
//! so that neither case nor the characters in between hide it.

use std::cell::OnceCell;
use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;
use zeroize::Zeroizing;

/// How many bytes of a string are read. An answer may be a mebibyte long, and an error shows little of it.
const LONGEST_READ: usize = 4 * 1024;

/// The longest string that is shown, in characters.
const LONGEST_TEXT: usize = 300;

/// The longest word that is shown. Tokens are longer.
const LONGEST_WORD: usize = 64;

/// A sequence of this many letters and digits of a secret is redacted wherever it appears.
const PIECE: usize = 8;

/// The shortest encoded secret that is redacted. Shorter ones would match ordinary words.
const SHORTEST_FORM: usize = 4;

const REDACTED: &str = "[redacted]";

/// The secrets of a request, which the platform may repeat in its answer and no error may show.
#[derive(Default)]
pub(crate) struct Redaction<'a> {
    secrets: &'a [&'a str],
    /// Made when first needed.
    forms: OnceCell<Forms>,
}

impl<'a> Redaction<'a> {
    pub(crate) fn new(secrets: &'a [&'a str]) -> Self {
        let forms = OnceCell::new();
        Self { secrets, forms }
    }

    /// The string as one line of limited length, without the secrets of the request and without words as long as tokens.
    pub(crate) fn line(&self, text: &str) -> String {
        let text = self.hide(beginning(text));
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

    /// Whether a secret is in the string, in any of its encodings.
    pub(crate) fn finds_a_secret_in(&self, text: &str) -> bool {
        self.hide(text) != text
    }

    /// The string without the secrets, in any of their encodings.
    fn hide(&self, text: &str) -> String {
        let mut hidden = vec![false; text.len()];
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            hide_literally(text, secret, &mut hidden);
        }
        if letters(text).nth(SHORTEST_FORM - 1).is_some() {
            let forms = self.forms.get_or_init(|| Forms::of(self.secrets));
            forms.hide(text, &mut hidden);
        }
        let mut shown = String::new();
        for (at, c) in text.char_indices() {
            match hidden[at] {
                false => shown.push(c),
                true if at == 0 || !hidden[at - 1] => shown.push_str(REDACTED),
                true => {}
            }
        }
        shown
    }
}

/// The beginning of a string, up to the limit, without a word that the limit cuts.
fn beginning(text: &str) -> &str {
    if text.len() <= LONGEST_READ {
        return text;
    }
    let mut ends = (0..=LONGEST_READ).rev();
    let end = ends.find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    let cut = &text[..end];
    cut.rfind(char::is_whitespace)
        .map_or(cut, |end| &cut[..end])
}

/// Hides a secret in its literal form, which may have few letters and digits.
fn hide_literally(text: &str, secret: &str, hidden: &mut [bool]) {
    for (at, part) in text.as_bytes().windows(secret.len()).enumerate() {
        if part.eq_ignore_ascii_case(secret.as_bytes()) {
            hidden[at..at + secret.len()].fill(true);
        }
    }
}

/// The encoded forms of all secrets, which are searched for.
#[derive(Default)]
struct Forms {
    /// The pieces of long forms, sorted. A number holds the letters and digits of one piece.
    pieces: Zeroizing<Vec<u64>>,
    /// The forms that are shorter than a piece.
    short: Vec<Zeroizing<Vec<u8>>>,
}

impl Forms {
    fn of(secrets: &[&str]) -> Self {
        let mut forms = Self::default();
        for form in secrets.iter().flat_map(|secret| forms_of(secret)) {
            match form.len() {
                0..SHORTEST_FORM => {}
                SHORTEST_FORM..PIECE => forms.short.push(form),
                _ => forms.pieces.extend(
                    form.windows(PIECE)
                        .filter_map(|piece| piece.first_chunk().copied())
                        .map(u64::from_ne_bytes),
                ),
            }
        }
        forms.pieces.sort_unstable();
        forms
    }

    /// Hides each run of letters and digits that is in one of the forms, and the characters between them.
    fn hide(&self, text: &str, hidden: &mut [bool]) {
        let (letters, places): (Zeroizing<Vec<u8>>, Vec<usize>) = {
            let (letters, places): (Vec<u8>, Vec<usize>) = letters(text).unzip();
            (letters.into(), places)
        };
        let mut run_ends = 0;
        for begin in 0..letters.len() {
            let Some(length) = self.found_at(&letters[begin..]) else {
                continue;
            };
            // The characters between two adjacent runs are hidden too.
            let first = if begin == run_ends {
                begin.saturating_sub(1)
            } else {
                begin
            };
            run_ends = run_ends.max(begin + length);
            hidden[places[first]..=places[begin + length - 1]].fill(true);
        }
    }

    /// The length of the piece of a secret with which these letters begin.
    fn found_at(&self, letters: &[u8]) -> Option<usize> {
        if let Some(&piece) = letters.first_chunk::<PIECE>()
            && self
                .pieces
                .binary_search(&u64::from_ne_bytes(piece))
                .is_ok()
        {
            return Some(PIECE);
        }
        let mut short = self.short.iter();
        short
            .find(|form| letters.starts_with(form))
            .map(|form| form.len())
    }
}

/// The letters and digits of a string in lower case, with their positions.
fn letters(text: &str) -> impl Iterator<Item = (u8, usize)> {
    let bytes = text.bytes().enumerate();
    bytes
        .filter(|(_, byte)| byte.is_ascii_alphanumeric())
        .map(|(at, byte)| (byte.to_ascii_lowercase(), at))
}

/// The letters and digits of a secret in each encoding in which a platform may repeat it.
fn forms_of(secret: &str) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let bytes = secret.as_bytes();
    let (mut json, mut utf_16) = (String::new(), String::new());
    for unit in secret.encode_utf16() {
        let _ = write!(json, "u{unit:04x}");
        let _ = write!(utf_16, "{unit:04x}");
    }
    let (mut escapes, mut literals) = (String::new(), String::new());
    for byte in bytes {
        let _ = write!(escapes, "x{byte:02x}");
        let _ = write!(literals, "0x{byte:02x}");
    }
    [
        secret.to_owned(),
        // Also the letters and digits of a string in which every byte is percent-encoded.
        hex::encode(bytes),
        json,
        utf_16,
        escapes,
        literals,
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        form_urlencoded::byte_serialize(bytes).collect(),
        base64_after(0, bytes),
        base64_after(1, bytes),
        base64_after(2, bytes),
    ]
    .into_iter()
    .map(Zeroizing::new)
    .map(|form| Zeroizing::new(letters(&form).map(|(letter, _)| letter).collect()))
}

/// The base64 of a secret that follows `before` other bytes, without the letters that depend on its neighbours.
fn base64_after(before: usize, secret: &[u8]) -> String {
    let all = Zeroizing::new([&[0].repeat(before), secret].concat());
    let encoded = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(&*all));
    let (first, end) = ((before * 8).div_ceil(6), all.len() * 8 / 6);
    encoded.get(first..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_string_becomes_one_line_without_tokens() {
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
    fn secrets_of_any_length_are_redacted() {
        let verifier = "v".repeat(43);
        let secrets = ["c0de", &verifier, ""];
        let redaction = Redaction::new(&secrets);
        assert_eq!(
            redaction.line(&format!("code=c0de&code_verifier={verifier}")),
            "code=[redacted]&code_verifier=[redacted]"
        );
    }

    #[test]
    fn a_secret_with_spaces_in_it_is_redacted() {
        assert_eq!(Redaction::new(&["a b"]).line("got a b"), "got [redacted]");
    }

    const SECRET: &str = "Tr0ub4dor-3_correct.horse~battery";

    /// The redacted form of a string with the secret in it.
    fn left_of(text: &str) -> String {
        Redaction::new(&[SECRET]).hide(&format!("before: {text} :after"))
    }

    #[test]
    fn a_secret_is_redacted_in_every_encoding() {
        let bytes = SECRET.as_bytes();
        let each = |write: fn(char) -> String| SECRET.chars().map(write).collect::<String>();
        for form in [
            SECRET.to_owned(),
            SECRET.to_uppercase(),
            hex::encode(bytes),
            hex::encode_upper(bytes),
            each(|c| format!("%{:02X}", u32::from(c))),
            each(|c| format!("\\u{:04X}", u32::from(c))),
            each(|c| format!("\\x{:02x}", u32::from(c))),
            each(|c| format!("0x{:02x}, ", u32::from(c))),
            each(|c| format!("00 {:02X} ", u32::from(c))),
            each(|c| format!("{c} ")),
            each(|c| format!("{c}\n")),
            each(|c| format!("{c}-\u{e9}-")),
        ] {
            let left = left_of(&form);
            assert_eq!(left.matches(REDACTED).count(), 1, "{form}: {left}");
            assert!(left.len() < 40, "{form}: {left}");
        }
        for before in ["", "a", "ab", "abc"] {
            let encoded = BASE64_STANDARD.encode(format!("{before}{SECRET}!"));
            for form in [
                encoded.clone(),
                encoded.replace('+', "-").replace('/', "_"),
                encoded.to_lowercase(),
                encoded.replace('=', "%3D").replace('+', "%2B"),
            ] {
                let left = left_of(&form);
                assert!(left.contains(REDACTED) && left.len() < 60, "{form}: {left}");
            }
        }
    }

    #[test]
    fn a_piece_of_a_secret_is_redacted() {
        assert_eq!(left_of("Tr0ub4d"), "before: Tr0ub4d :after");
        for piece in [&SECRET[..11], &SECRET[10..24], &SECRET[20..]] {
            assert_eq!(left_of(piece), "before: [redacted] :after", "{piece}");
        }
    }

    #[test]
    fn a_percent_encoded_secret_with_reserved_characters_is_redacted() {
        let secret = "ab/cd+ef=gh ij?kl";
        for form in ["ab%2Fcd%2Bef%3Dgh%20ij%3Fkl", "ab%2fcd%2bef%3dgh+ij%3fkl"] {
            assert_eq!(Redaction::new(&[secret]).hide(form), REDACTED, "{form}");
        }
    }

    #[test]
    fn a_short_secret_is_redacted_as_it_is_in_any_case() {
        for (secret, text) in [
            ("c0de", "no C0DE here"),
            ("%%", "no %% here"),
            ("\u{e9}\u{e9}", "no \u{e9}\u{e9} here"),
            ("x", "no X here"),
        ] {
            assert_eq!(Redaction::new(&[secret]).hide(text), "no [redacted] here");
        }
        assert_eq!(
            Redaction::new(&["c0de"]).hide("no 63306465 here"),
            "no [redacted] here"
        );
        // Too short to be distinguished from other words.
        assert_eq!(Redaction::new(&["z"]).hide("7a eg=="), "7a eg==");
    }

    #[test]
    fn only_the_beginning_of_a_long_string_is_read() {
        let text = format!("{} {SECRET}", "\u{1f512}".repeat(1 << 18));
        assert_eq!(Redaction::new(&[SECRET]).line(&text), REDACTED);
        let text = format!("{}{SECRET}", "a ".repeat(LONGEST_READ / 2 - 4));
        assert!(
            !Redaction::new(&[SECRET])
                .hide(beginning(&text))
                .contains("Tr0")
        );
    }

    /// The letters and digits of a string, which are enough to recover a secret.
    fn letters(text: &str) -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|c| c.to_ascii_lowercase()).collect()
    }

    /// The forms of a secret, and how many characters at the end of each depend on its neighbours.
    fn forms_of(secret: &str) -> Vec<(String, usize)> {
        let each = |write: fn(u8) -> String| secret.bytes().map(write).collect::<String>();
        let mut forms = vec![
            (secret.to_owned(), 0),
            (secret.to_uppercase(), 0),
            (each(|byte| format!("{} ", char::from(byte))), 0),
            (each(|byte| format!("{byte:02X}")), 0),
            (each(|byte| format!("%{byte:02x}")), 0),
            (each(|byte| format!("\\u{byte:04X}")), 0),
        ];
        for before in ["", "a", "ab"] {
            let encoded = BASE64_STANDARD.encode(format!("{before}{secret}"));
            // A neighbouring byte affects two letters at most.
            let edge = if before.is_empty() {
                0
            } else {
                before.len() + 1
            };
            forms.push((encoded[edge..].trim_end_matches('=').to_owned(), 1));
        }
        forms
    }

    proptest! {
        #[test]
        fn no_piece_of_an_encoded_secret_remains(
            secret in "[A-Za-z0-9_-]{16,64}",
            which in 0_usize..9,
            before in "\\PC{0,40}",
            after in "\\PC{0,40}",
        ) {
            let (form, unstable) = forms_of(&secret).swap_remove(which);
            let hidden = Redaction::new(&[&secret]).hide(&format!("{before} {form} {after}"));
            let stable = letters(&form[..form.len() - unstable]);
            let left = letters(&hidden);
            for piece in stable.as_bytes().windows(PIECE) {
                let piece = std::str::from_utf8(piece).expect("ASCII");
                prop_assert!(!left.contains(piece), "{form}: {hidden}");
            }
        }
    }
}
