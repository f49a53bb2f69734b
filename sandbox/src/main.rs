//! The sandbox as a program: it prints its addresses as one line of JSON, then serves until it is interrupted.

use std::io::Write;

use digime_sandbox::Sandbox;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::start().await?;
    println!("{}", sandbox.describe());
    std::io::stdout().flush()?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = report_violations(&sandbox) => {}
    }
    Ok(())
}

/// Prints each violation to standard error as it happens.
async fn report_violations(sandbox: &Sandbox) {
    let mut printed = 0;
    loop {
        let violations = sandbox.next_violations(printed).await;
        for violation in &violations {
            eprintln!("violation: {violation}");
        }
        printed += violations.len();
    }
}
