//! The cost of the attribute at compile time, compared with `serde::Deserialize` on the same structs, and the cost of the
//! flow's types at run time. `cargo bench --bench compile_time` prints a table. Nothing is asserted, since machines are noisy.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use proc_macro2::{TokenStream, TokenTree};

/// How many structs a crate has.
const STRUCTS: u32 = 300;

/// How many times each crate is checked. The kinds take turns, so that noise affects all of them.
const ROUNDS: usize = 9;

/// The attributes of each struct of a crate.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    attribute: &'static str,
}

const VARIANTS: [Variant; 3] = [
    Variant {
        name: "nothing",
        attribute: "",
    },
    Variant {
        name: "digime_contract",
        attribute: "#[digime::digime_contract(ongoing)]",
    },
    Variant {
        name: "serde::Deserialize",
        attribute: "#[derive(serde::Deserialize)]",
    },
];

fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_time");
    write_manifest(&folder);
    for variant in VARIANTS {
        check(&folder, variant);
    }
    let mut times = [const { Vec::new() }; VARIANTS.len()];
    for _ in 0..ROUNDS {
        for (times, variant) in times.iter_mut().zip(VARIANTS) {
            times.push(check(&folder, variant));
        }
    }
    let medians = times.map(median);
    let tokens = VARIANTS.map(|variant| expansion(&folder, variant));
    let per_struct = |at: usize| medians[at].saturating_sub(medians[0]) / STRUCTS;
    println!("{STRUCTS} structs, median of {ROUNDS} rounds of `cargo check`\n");
    println!(
        "| above each struct | cargo check | per struct | tokens per struct |\n| --- | ---: | ---: | ---: |"
    );
    for (at, variant) in VARIANTS.iter().enumerate() {
        let own_tokens = (tokens[at] - tokens[0]) / STRUCTS as usize;
        println!(
            "| {} | {:.2?} | {:.2?} | {own_tokens} |",
            variant.name,
            medians[at],
            per_struct(at)
        );
    }
    let ratio = per_struct(1).as_secs_f64() / per_struct(2).as_secs_f64();
    println!("\ndigime_contract / serde::Deserialize, per struct: {ratio:.2}");
    println!(
        "calls under two contracts are the same machine code: {}",
        same_machine_code(&folder)
    );
}

fn write_manifest(folder: &Path) {
    std::fs::create_dir_all(folder.join("src")).expect("a folder");
    let manifest = format!(
        "[package]\nname = \"structs\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         digime = {{ path = {:?} }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).expect("a file");
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    std::fs::copy(lock, folder.join("Cargo.lock")).expect("a file");
}

fn write_structs(folder: &Path, variant: Variant) {
    let mut source = String::from("#![allow(dead_code)]\n");
    for number in 0..STRUCTS {
        writeln!(
            source,
            "{}\npub struct Contract{number} {{\n    application_id: digime::ApplicationId,\n    \
             contract_id: digime::ContractId,\n    private_key: digime::PrivateKey,\n    \
             redirect_uri: digime::RedirectUri,\n}}",
            variant.attribute
        )
        .expect("a string can be written to");
    }
    std::fs::write(folder.join("src/lib.rs"), source).expect("a file");
}

fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(arguments)
        .current_dir(folder)
        // For `-Zunpretty`, which is the compiler's own way to show an expansion.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn check(folder: &Path, variant: Variant) -> Duration {
    write_structs(folder, variant);
    let begun = Instant::now();
    cargo(folder, &["check", "--quiet"]);
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// How many tokens a crate has when everything in it is expanded.
fn expansion(folder: &Path, variant: Variant) -> usize {
    write_structs(folder, variant);
    let expanded = cargo(
        folder,
        &[
            "rustc",
            "--quiet",
            "--profile",
            "check",
            "--",
            "-Zunpretty=expanded",
        ],
    );
    count(expanded.parse().expect("tokens"))
}

fn count(tokens: TokenStream) -> usize {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => 2 + count(group.stream()),
            _ => 1,
        })
        .sum()
}

/// Whether the same calls on flows of two contracts, one of them large, become the same instructions.
fn same_machine_code(folder: &Path) -> bool {
    let call = |name: &str, contract: &str| {
        format!(
            "#[inline(never)]\npub fn {name}(flow: digime::Flow<{contract}, digime::AwaitingCallback<digime::Verifier>>) \
             -> (String, String) {{\n    (flow.url().to_string(), flow.state().to_owned())\n}}\n"
        )
    };
    let source = format!(
        "pub struct Small;\npub struct Large([u64; 500]);\n{}{}",
        call("under_a_small_contract", "Small"),
        call("under_a_large_contract", "Large")
    );
    std::fs::write(folder.join("src/lib.rs"), source).expect("a file");
    cargo(
        folder,
        &[
            "rustc",
            "--quiet",
            "--release",
            "--",
            "--emit",
            "asm",
            "-C",
            "codegen-units=1",
            "-C",
            "debuginfo=0",
        ],
    );
    let assembly = std::fs::read_to_string(assembly_file(folder)).expect("an assembly");
    let (small, large) = (
        body(&assembly, "under_a_small_contract"),
        body(&assembly, "under_a_large_contract"),
    );
    match (small, large) {
        (Some(small), Some(large)) => small == large,
        // The compiler has merged the two and kept one.
        (small, large) => small.is_some() != large.is_some(),
    }
}

fn assembly_file(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder.join("target/release/deps")).expect("a folder");
    let mut files: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "s"))
        .collect();
    files.sort_by_key(|path| {
        path.metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
    });
    files.pop().expect("an assembly")
}

/// The instructions of a function, without labels, which are numbered through the file.
fn body(assembly: &str, name: &str) -> Option<Vec<String>> {
    let mut lines = assembly.lines();
    lines.find(|line| line.starts_with('_') && line.contains(name) && line.ends_with(':'))?;
    let instructions = lines
        .take_while(|line| !line.contains(".cfi_endproc"))
        .filter(|line| {
            let line = line.trim_start();
            !line.starts_with('.') && !line.ends_with(':')
        });
    let without_labels = |line: &str| line.split(".L").next().unwrap_or_default().to_owned();
    Some(instructions.map(without_labels).collect())
}
