//! Programs that must compile, and programs that must not, with what the compiler says of each.

mod compiler;
mod imports;
mod matrix;
mod normalized;

use std::path::{Path, PathBuf};

use compiler::{Compiler, Diagnostic, root};
use normalized::normalized;

/// Whether the `.stderr` files hold this compiler's messages. With another, a refused program must have as many errors, with
/// the same first lines.
fn is_pinned(version: &str) -> bool {
    let file: toml::Table = read(Path::new("rust-toolchain.toml"))
        .parse()
        .expect("TOML");
    let channel = file["toolchain"]["channel"].as_str().expect("a version");
    version.starts_with(&format!("rustc {channel} "))
}

/// The files of a folder with this extension, relative to the project.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut files: Vec<_> = names.map(|name| Path::new(folder).join(name)).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == extension));
    files.sort();
    assert!(!files.is_empty(), "{folder} has no .{extension}");
    files
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("no {}", file.display()))
}

/// Calls `check` with each file, on all cores, and fails with all that it found.
fn check_all(files: &[PathBuf], check: impl Fn(&Path) -> Result<(), String> + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let checks: Vec<_> = files
            .chunks(files.len().div_ceil(cores))
            .map(|share| {
                let check = &check;
                scope.spawn(move || {
                    let failures = share.iter().filter_map(|file| {
                        let failure = check(file).err()?;
                        Some(format!("{}\n{failure}", file.display()))
                    });
                    failures.collect::<Vec<_>>()
                })
            })
            .collect();
        let found = checks
            .into_iter()
            .map(|check| check.join().expect("a check"));
        found.flatten().collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn rendered(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(Diagnostic::rendered).collect()
}

#[test]
fn right_programs_compile() {
    let compiler = Compiler::new();
    check_all(&files("ui-tests/accepted", "rs"), |program| {
        let mut diagnostics = compiler.check(program);
        diagnostics.retain(Diagnostic::is_error);
        if diagnostics.is_empty() {
            Ok(())
        } else {
            Err(rendered(&diagnostics))
        }
    });
}

#[test]
fn each_mistake_gets_the_error_that_its_file_shows() {
    let compiler = Compiler::new();
    let version = compiler.version();
    let is_pinned = is_pinned(&version);
    if !is_pinned {
        println!("only the first line of each error is compared, since this is {version}");
    }
    check_all(&files("ui-tests/refused", "rs"), |program| {
        let errors = compiler.check(program);
        if is_pinned {
            has_the_text_of_its_file(program, &errors)
        } else {
            has_the_first_lines_of_its_file(program, &errors)
        }
    });
}

/// `DIGIME_UI_TESTS=overwrite` writes the file anew.
fn has_the_text_of_its_file(program: &Path, errors: &[Diagnostic]) -> Result<(), String> {
    let file = program.with_extension("stderr");
    let told = errors
        .iter()
        .map(|error| normalized(program, error.rendered()));
    let told = told.collect::<Vec<_>>().join("\n\n") + "\n";
    if std::env::var("DIGIME_UI_TESTS").is_ok_and(|it| it == "overwrite") {
        std::fs::write(root().join(file), told).expect("the file is written");
        return Ok(());
    }
    match std::fs::read_to_string(root().join(file)) {
        Ok(expected) if expected == told => Ok(()),
        Ok(expected) => Err(format!("EXPECTED\n{expected}\nGOT\n{told}")),
        Err(_) => Err(format!("NO .stderr, BUT GOT\n{told}")),
    }
}

fn has_the_first_lines_of_its_file(program: &Path, errors: &[Diagnostic]) -> Result<(), String> {
    let expected = read(&program.with_extension("stderr"));
    let expected: Vec<_> = expected.lines().filter_map(first_line).collect();
    let told = errors.iter().filter(|it| it.is_error());
    let mut told: Vec<_> = told.map(|it| (it.message(), it.line())).collect();
    // Later compilers say once for each use, with other suggestions, that one path is wrong.
    told.dedup();
    if told
        .iter()
        .map(|(message, _)| *message)
        .eq(expected.iter().copied())
    {
        Ok(())
    } else {
        Err(format!(
            "EXPECTED\n{expected:#?}\nGOT\n{}",
            rendered(errors)
        ))
    }
}

/// The message of an error's first line: `error[E0277]: cannot push yet` is `cannot push yet`.
fn first_line(line: &str) -> Option<&str> {
    let (level, message) = line.split_once(": ")?;
    level.starts_with("error").then_some(message)
}

/// The attribute's package can't test its example: it would need the library, built again as its dependency.
#[test]
fn the_example_of_the_attribute_compiles() {
    let source = read(Path::new("macros/src/lib.rs"));
    let docs: Vec<_> = source
        .lines()
        .filter_map(|line| line.strip_prefix("///"))
        .collect();
    let docs = docs.join("\n");
    let mut blocks = docs.split("\n ```\n").skip(1).step_by(2).peekable();
    assert!(blocks.peek().is_some(), "no example");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attribute.rs");
    let example = blocks.collect::<Vec<_>>().join("\n");
    std::fs::write(&program, format!("{example}\nfn main() {{}}")).expect("a file");
    let mut errors = Compiler::new().check(&program);
    errors.retain(Diagnostic::is_error);
    assert!(errors.is_empty(), "{}", rendered(&errors));
}

/// What a page shows of a file: the name of the file, and the text behind it.
fn shown(page: &str) -> Vec<(PathBuf, String)> {
    let page = read(Path::new(page));
    let parts = page.split("<!-- ").skip(1).map(|part| {
        let (file, rest) = part.split_once(" -->").expect("a file");
        (PathBuf::from(file), rest.to_owned())
    });
    parts.collect()
}

/// The first block of this language.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let start = format!("```{language}\n");
    let (_, block) = text.split_once(&start).expect("a block");
    block.split_once("\n```").expect("its end").0
}

#[test]
fn the_pages_show_the_programs_with_mistakes_and_what_the_compiler_says_of_them() {
    let mistakes = ["docs/mistakes.md", "docs/extending.md"].map(shown);
    let mistakes = mistakes.iter().flatten();
    let mistakes: Vec<_> = mistakes
        .filter(|(file, _)| file.starts_with("ui-tests"))
        .collect();
    assert!(mistakes.len() >= 24);
    for (file, text) in mistakes {
        let whole_program = read(&file.with_extension("rs"));
        let all_errors = read(&file.with_extension("stderr"));
        let file = file.display();
        for line in block(text, "rust").lines() {
            assert!(
                whole_program.contains(line.trim()),
                "{file} has no line {line}"
            );
        }
        for line in block(text, "text").lines() {
            assert!(
                all_errors.contains(line.trim_end()),
                "{file} is not told {line}"
            );
        }
    }
}

#[test]
fn the_chapter_for_library_authors_shows_code_of_its_examples() {
    let mut blocks = shown("docs/extending.md");
    blocks.retain(|(file, _)| !file.starts_with("ui-tests"));
    assert!(blocks.len() >= 24);
    for (file, text) in blocks {
        let code = block(&text, "rust");
        let source = read(&file);
        assert!(source.contains(code), "{} has no\n{code}", file.display());
    }
}

#[test]
fn every_mistake_is_one_error_and_has_no_warning_beside_it() {
    for file in files("ui-tests/refused", "stderr") {
        let told = read(&file);
        let several = file.ends_with("several_mistakes_at_once.stderr");
        let errors = told.lines().filter(|line| line.starts_with("error"));
        let file = file.display();
        assert_eq!(errors.count(), if several { 5 } else { 1 }, "{file}");
        assert!(!told.contains("warning"), "{file}");
    }
}
