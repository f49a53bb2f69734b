//! Suggestions for misspelt words.

/// The candidate that is most similar to `word`, if one is similar enough.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word.to_lowercase(), candidate),
                candidate,
            )
        })
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_most_similar_word_is_suggested_if_it_is_similar_enough() {
        let roles = [
            "application_id",
            "contract_id",
            "private_key",
            "redirect_uri",
        ];
        assert_eq!(nearest("aplication_id", roles), Some("application_id"));
        assert_eq!(nearest("redirect_url", roles), Some("redirect_uri"));
        assert_eq!(nearest("Contract_Id", roles), Some("contract_id"));
        assert_eq!(nearest("shop", roles), None);
        assert_eq!(nearest("", roles), None);
    }
}
