//! Programs that must compile, and programs that must not, with what the compiler says of each.

/// The toolchain whose words the `.stderr` files hold. On another, `tests/matrix.rs` still counts the errors.
const PINNED: &str = "rustc 1.95.";

fn is_pinned() -> bool {
    let version = std::process::Command::new("rustc")
        .arg("--version")
        .output()
        .expect("a compiler");
    String::from_utf8_lossy(&version.stdout).starts_with(PINNED)
}

#[test]
fn right_programs_compile_and_each_mistake_is_told() {
    let programs = trybuild::TestCases::new();
    programs.pass("ui-tests/accepted/*.rs");
    if is_pinned() {
        programs.compile_fail("ui-tests/refused/*.rs");
    } else {
        println!("skipped the mistakes: their texts are those of {PINNED}x");
    }
}

/// The blocks of `docs/mistakes.md`: the program's file, what is shown of it, and what is shown of the errors.
fn shown() -> Vec<(String, String, String)> {
    let page = include_str!("../docs/mistakes.md");
    let mistakes = page.split("<!-- ").skip(1).map(|mistake| {
        let (file, rest) = mistake.split_once(" -->").expect("a file");
        let block = |language: &str| {
            let (_, block) = rest
                .split_once(&format!("```{language}\n"))
                .expect("a block");
            block.split_once("\n```").expect("its end").0.to_owned()
        };
        (file.to_owned(), block("rust"), block("text"))
    });
    mistakes.collect()
}

#[test]
fn the_page_of_mistakes_shows_the_programs_and_what_the_compiler_says_of_them() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: String| {
        std::fs::read_to_string(root.join(&file)).unwrap_or_else(|_| panic!("no {file}"))
    };
    let mistakes = shown();
    assert!(mistakes.len() >= 20);
    for (file, program, errors) in mistakes {
        let (whole_program, all_errors) =
            (read(format!("{file}.rs")), read(format!("{file}.stderr")));
        for line in program.lines() {
            assert!(
                whole_program.contains(line.trim()),
                "{file} has no line {line}"
            );
        }
        for line in errors.lines() {
            assert!(
                all_errors.contains(line.trim_end()),
                "{file} is not told {line}"
            );
        }
    }
}

#[test]
fn every_mistake_is_one_error_and_has_no_warning_beside_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui-tests/refused");
    for file in std::fs::read_dir(folder).expect("the mistakes") {
        let path = file.expect("a file").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "stderr")
        {
            let told = std::fs::read_to_string(&path).expect("a file");
            let several = path.ends_with("several_mistakes_at_once.stderr");
            let errors = told
                .lines()
                .filter(|line| line.starts_with("error"))
                .count();
            assert_eq!(errors, if several { 5 } else { 1 }, "{}", path.display());
            assert!(!told.contains("warning"), "{}", path.display());
        }
    }
}
