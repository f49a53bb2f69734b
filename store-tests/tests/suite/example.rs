//! The example with two processes, run as a user would.

use std::process::Command;

#[test]
fn one_process_asks_and_another_pushes() {
    let cargo = std::env::var("CARGO").expect("cargo runs the tests");
    let output = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--package",
            "digime",
            "--features",
            "sqlite",
        ])
        .args(["--example", "two_requests"])
        .output()
        .expect("the example runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success()
            && printed.contains("the second process pushed: Delivered for customer-42")
            && printed.contains("received: receipt.txt"),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
