//! The compiler, run on programs that use the library as cargo has built it for the tests.
//!
//! So no dependency is built a second time. `DIGIME_TOOLCHAIN=nightly` asks another toolchain; its dependencies are checked
//! in a folder of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) struct Compiler {
    /// The toolchain, where it is not the one that runs the tests.
    toolchain: Option<String>,
    libraries: Vec<Library>,
}

struct Library {
    name: String,
    file: PathBuf,
}

/// One error or warning.
pub(crate) struct Diagnostic(Value);

impl Compiler {
    pub(crate) fn new() -> Self {
        let toolchain = std::env::var("DIGIME_TOOLCHAIN").ok();
        let messages = match &toolchain {
            None => output(Command::new(env!("CARGO")).args(["test", "--workspace", "--no-run"])),
            Some(name) => output(
                tool(name, "cargo")
                    .args(["check", "--package", "digime-extending"])
                    .args(["--package", "digime-import", "--target-dir"])
                    .arg(root().join("target").join(name)),
            ),
        };
        Self {
            toolchain,
            libraries: libraries(&messages),
        }
    }

    /// The first line of `rustc --version`.
    pub(crate) fn version(&self) -> String {
        let output = self.command().arg("--version").output().expect("a version");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What the compiler says of a program. The path is relative to the project, and so are those in the messages.
    pub(crate) fn check(&self, program: &Path) -> Vec<Diagnostic> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name = program.file_stem().expect("a name").to_string_lossy();
        let output = self
            .command()
            .args(["--edition=2024", "--crate-type=bin", "--emit=metadata"])
            .args(["--error-format=json", "--diagnostic-width=140"])
            .args(["--verbose", "--allow=dead_code"])
            .args(self.libraries.iter().flat_map(Library::arguments))
            .arg("-o")
            .arg(folder.join(format!("{name}.rmeta")))
            .arg(program)
            .output()
            .expect("the compiler runs");
        let messages = String::from_utf8_lossy(&output.stderr);
        let diagnostics = messages.lines().map(|line| {
            Diagnostic(serde_json::from_str(line).unwrap_or_else(|_| panic!("{messages}")))
        });
        diagnostics.filter(|it| !it.is_summary()).collect()
    }

    fn command(&self) -> Command {
        let mut command = match &self.toolchain {
            None => Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into())),
            Some(name) => tool(name, "rustc"),
        };
        command.current_dir(root());
        command
    }
}

impl Library {
    fn arguments(&self) -> [String; 2] {
        let folder = self.file.parent().expect("a folder").display();
        let file = self.file.display();
        [
            format!("--extern={}={file}", self.name),
            format!("-Ldependency={folder}"),
        ]
    }
}

impl Diagnostic {
    pub(crate) fn is_error(&self) -> bool {
        self.0["level"] == "error"
    }

    pub(crate) fn message(&self) -> &str {
        self.0["message"].as_str().expect("a message")
    }

    /// The message as the compiler shows it, with the code and the notes.
    pub(crate) fn rendered(&self) -> &str {
        self.0["rendered"].as_str().expect("text")
    }

    /// The line of the program that the message is about.
    pub(crate) fn line(&self) -> usize {
        let spans = self.0["spans"].as_array().expect("spans");
        let primary = spans.iter().find(|span| span["is_primary"] == true);
        let line = primary.and_then(|span| span["line_start"].as_u64());
        usize::try_from(line.expect("a line")).expect("a line")
    }

    /// Says how many errors there were, or where to read more.
    fn is_summary(&self) -> bool {
        self.0["level"] == "failure-note" || self.message().starts_with("aborting due to")
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tool(toolchain: &str, name: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, name]);
    command
}

fn output(cargo: &mut Command) -> String {
    let cargo = cargo.args(["--message-format", "json"]).current_dir(root());
    let output = cargo.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// What the programs name of the libraries that cargo has built.
fn libraries(messages: &str) -> Vec<Library> {
    let named = [
        "digime",
        "digime_extending",
        "digime_import",
        "serde",
        "serde_json",
    ];
    named
        .into_iter()
        .map(|name| Library {
            name: name.to_owned(),
            file: library(messages, name).unwrap_or_else(|| panic!("cargo builds {name}")),
        })
        .collect()
}

fn library(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let target = &message["target"];
        let is_library = target["name"] == name && target["kind"][0] == "lib";
        let files = message["filenames"].as_array().filter(|_| is_library)?;
        let mut files = files.iter().filter_map(Value::as_str).map(PathBuf::from);
        files.find(|file| file.extension().is_some_and(|kind| kind != "so"))
    })
}
