//! Whether `::digime` can be the library, where the attribute's arguments give no path to it.
//!
//! A procedural macro can't ask rustc whether a path exists, and rustc's error about `::digime` can't mention `crate = …`.
//! So this reads the arguments of rustc: Cargo passes each dependency as `--extern name=file`. What it concludes decides
//! only whether `crate = …` is asked for. It can be wrong where a program has `extern crate other as digime;`, and then
//! `crate = digime` is the answer. Nothing is concluded without an `--extern` (in an editor) or from arguments in a file
//! (`@file`); rustc's own error follows then, one for each contract.

/// Whether rustc was given crates, and none of them is `digime`.
pub(crate) fn is_missing() -> bool {
    is_missing_in(std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()))
}

fn is_missing_in(arguments: impl IntoIterator<Item = String>) -> bool {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let mut crates = values(&arguments, "--extern").map(crate_name).peekable();
    // The library uses its own attribute, in tests.
    let is_the_library = values(&arguments, "--crate-name").any(|name| name == "digime");
    let are_known = !arguments.iter().any(|argument| argument.starts_with('@'));
    are_known && crates.peek().is_some() && !is_the_library && crates.all(|name| name != "digime")
}

/// The values of an option, as `--option value` or `--option=value`.
fn values<'a>(arguments: &'a [String], option: &'a str) -> impl Iterator<Item = &'a str> {
    let behind = arguments.iter().skip(1).map(Some).chain([None]);
    arguments
        .iter()
        .zip(behind)
        .filter_map(
            move |(argument, next)| match argument.strip_prefix(option)? {
                "" => next.map(String::as_str),
                value => value.strip_prefix('='),
            },
        )
}

/// The name in `name`, `name=file` or `options:name=file`.
fn crate_name(value: &str) -> &str {
    let name = value.split_once('=').map_or(value, |(name, _)| name);
    name.rsplit_once(':').map_or(name, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::is_missing_in;

    fn is_missing(arguments: &str) -> bool {
        is_missing_in(arguments.split(' ').map(String::from))
    }

    #[test]
    fn the_library_is_missing_where_only_others_are_given() {
        for arguments in [
            "rustc --crate-name shop --extern framework=/a/libframework.rlib src/main.rs",
            "rustc --extern=framework=/a/digime.rlib",
            "rustc --extern digime_framework --extern priv:renamed=/a/libdigime.rlib",
        ] {
            assert!(is_missing(arguments), "{arguments}");
        }
    }

    #[test]
    fn nothing_is_missing_where_the_library_is_given_or_nothing_is_known() {
        for arguments in [
            "rustc --extern framework=/a.rlib --extern digime=/a/libdigime.rlib",
            "rustc --extern=digime",
            "rustc --extern priv,nounused:digime=/a.rlib",
            "rustc --crate-name digime --extern url=/a.rlib",
            "rustc --extern url=/a.rlib @more",
            "rust-analyzer-proc-macro-srv",
            "rustc --extern",
        ] {
            assert!(!is_missing(arguments), "{arguments}");
        }
    }
}
