//! What a published package has to bring, as cargo sees it.

use std::collections::HashMap;
use std::process::Command;

use serde_json::Value;

/// The packages that are published, in the order in which they are.
const PUBLISHED: [&str; 6] = [
    "digime-rules",
    "digime-macros",
    "digime-sandbox",
    "digime",
    "digime-import",
    "digime-outbox",
];

fn cargo(arguments: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments.split(' '))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn metadata() -> Vec<Value> {
    let metadata = cargo("metadata --locked --format-version 1");
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// `1.88` is (1, 88).
fn version(rust_version: &str) -> (u32, u32) {
    let mut numbers = rust_version
        .split('.')
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[test]
fn no_dependency_needs_a_later_rust_than_its_package_says() {
    let packages = metadata();
    let needed: HashMap<_, _> = packages
        .iter()
        .map(|package| {
            let id = format!("{} v{}", text(package, "name"), text(package, "version"));
            (id, version(text(package, "rust_version")))
        })
        .collect();
    for name in PUBLISHED {
        let declared = packages.iter().find(|package| package["name"] == name);
        let declared = version(text(declared.expect("a package"), "rust_version"));
        assert!(declared > (1, 0), "{name}");
        let tree = cargo(&format!(
            "tree --locked --edges normal,build --prefix none --target all --package {name}"
        ));
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let dependency = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
            assert!(needed[&dependency] <= declared, "{name}: {dependency}");
        }
    }
}

#[test]
fn each_published_package_brings_its_licences_and_says_what_it_is() {
    for package in metadata() {
        let name = text(&package, "name");
        if package["source"].is_string() || !PUBLISHED.contains(&name) {
            assert!(package["source"].is_string() || package["publish"] == serde_json::json!([]));
            continue;
        }
        for key in ["description", "license", "readme"] {
            assert!(!text(&package, key).is_empty(), "{name} has no {key}");
        }
        for key in ["keywords", "categories"] {
            assert!(package[key] != serde_json::json!([]), "{name} has no {key}");
        }
        let files = cargo(&format!("package --list --allow-dirty --package {name}"));
        for file in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
            assert!(files.lines().any(|it| it == file), "{name} has no {file}");
        }
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        for dependency in dependencies {
            let is_local = dependency["path"].is_string();
            let has_version = dependency["req"] != "*";
            // It depends on the library, so it is published later, and cargo leaves it out of the library's package.
            let is_circle = (name, text(dependency, "name")) == ("digime", "digime-import")
                && dependency["kind"] == "dev";
            assert!(
                !is_local || has_version || is_circle,
                "{name}: {}",
                dependency["name"]
            );
        }
    }
}
