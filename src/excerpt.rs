//! How outside text appears in errors.

/// The beginning of a text from outside, in one line: no more than so many characters, and those that can't be seen or
/// would change how the rest is shown are escaped.
pub fn excerpt(text: &str, longest: usize) -> String {
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
    fn an_excerpt_is_short_and_one_line() {
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
