//! What the compiler says where a program has the attribute through another crate, and no crate `digime`.

use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = r#"
use framework::digime_contract;

#[digime_contract(ongoing)]
struct Receipts { application_id: u8, contract_id: u8, private_key: u8, redirect_uri: u8 }

#[digime_contract(once, application_id = "a", contract_id = "c", redirect_uri = "https://shop.example/digime")]
struct Welcome { private_key: u8 }

fn begin(receipts: &Receipts, welcome: &Welcome) -> (ReceiptsFlow, WelcomeFlow) {
    let flow: ReceiptsFlow = receipts.flow(todo!());
    (flow, welcome.flow(todo!()))
}

fn is_clone<T: Clone>(_: &T) {}

fn other_mistakes_that_may_follow_from_it(receipts: &Receipts) {
    is_clone(receipts);
}
"#;

#[test]
fn a_program_without_the_library_is_asked_for_its_path_once_for_each_contract() {
    let errors = errors(PROGRAM);
    let told: Vec<_> = errors
        .lines()
        .filter(|line| line.starts_with("error") && !line.contains("aborting"))
        .collect();
    let message = "error: the attribute did not find the crate `digime`: add `crate = path::to::digime`, \
                   the path of the library in this crate";
    assert_eq!(told, [message; 2], "{errors}");
    for place in ["missing_library.rs:4:1", "missing_library.rs:7:1"] {
        assert!(errors.contains(place), "{errors}");
    }
}

/// What the compiler says of a program that knows the attribute as `framework::digime_contract`.
fn errors(program: &str) -> String {
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("missing_library.rs");
    std::fs::write(&source, program).expect("a file");
    let output = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()))
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
            "--extern",
        ])
        .arg(format!("framework={}", attribute().display()))
        .arg("--out-dir")
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .arg(&source)
        .output()
        .expect("the compiler runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The compiled attribute, which cargo puts beside this test.
fn attribute() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let folder = test.parent().expect("a folder");
    let name = format!("{}digime_macros-", std::env::consts::DLL_PREFIX);
    let files = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|file| file.expect("a file").path());
    let built = files.filter(|file| {
        let file_name = file.file_name().unwrap_or_default().to_string_lossy();
        file_name.starts_with(&name) && file_name.ends_with(std::env::consts::DLL_SUFFIX)
    });
    built
        .max_by_key(|file| file.metadata().and_then(|file| file.modified()).ok())
        .expect("the attribute")
}
