//! The sandbox as a program: it prints its addresses as one line of JSON, then serves until it is interrupted.

#![forbid(unsafe_code)]

mod arguments;
mod contracts_file;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use digime_sandbox::Sandbox;

use arguments::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", in_one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if !arguments.bind.is_loopback() {
        eprintln!(
            "warning: whoever can reach {} can read everything that the sandbox receives, and its private keys",
            arguments.bind
        );
    }
    let ended = end_signal()?;
    let sandbox = arguments.builder()?.start().await?;
    let mut output = io::stdout();
    writeln!(output, "{}", sandbox.describe())?;
    output.flush()?;
    tokio::select! {
        () = ended => {}
        () = report_violations(&sandbox) => {}
    }
    Ok(())
}

/// Ends at Ctrl-C, and where there is one at SIGTERM.
#[cfg(unix)]
fn end_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Ends at Ctrl-C.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
fn end_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}

/// Prints each violation to standard error as it happens.
async fn report_violations(sandbox: &Sandbox) {
    let mut known = 0;
    loop {
        let (noted, new) = sandbox.next_violations(known).await;
        for violation in &new {
            eprintln!("violation: {violation}");
        }
        known = noted;
    }
}

fn in_one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
