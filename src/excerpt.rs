//! Excerpts of foreign strings, for errors.

/// The beginning of a foreign string in one line, `longest` characters at most. Characters that are invisible or would change
/// how the rest is displayed are escaped.
pub(crate) fn excerpt(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for character in text.chars().take(longest) {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_short_line() {
        for (text, shown) in [
            ("", ""),
            ("it's \"ü\" \\ 🧾", "it's \"ü\" \\ 🧾"),
            (
                "a\r\nb\u{7}\u{2028}\u{202e}",
                "a\\r\\nb\\u{7}\\u{2028}\\u{202e}",
            ),
        ] {
            assert_eq!(excerpt(text, 16), shown);
        }
        assert_eq!(excerpt("abcd", 4), "abcd");
        assert_eq!(excerpt("abcde", 4), "abcd…");
    }
}
