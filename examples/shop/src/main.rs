//! Starts the shop, and stops it when it is asked to.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use shop::{Api, Config, Shop};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A web shop whose customers save their receipts to digi.me.
#[derive(Parser)]
struct Arguments {
    /// The file with the settings. Without one, the shop runs as a demo, with a platform of its own.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The demo's port. 0 is any free one. [default: 3000, or the next free one]
    #[arg(long, conflicts_with = "config")]
    port: Option<u16>,
    /// The demo's API: `postbox` (API 1.5) or `import` (API 1.7).
    #[arg(long, default_value = "postbox", conflicts_with = "config")]
    api: Api,
    /// Writes the log as JSON, as it does when nobody looks at a terminal.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(arguments.json || !std::io::stderr().is_terminal());
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not in the log, which a filter may leave out. Most errors are mistakes in the settings, and need no backtrace.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_signal(stop.clone()));
    match arguments.config {
        Some(file) => {
            let config = Config::read(&file)?;
            let listener = TcpListener::bind(config.listen).await;
            let listener =
                listener.with_context(|| format!("can't listen on {}", config.listen))?;
            tracing::info!(listen = %config.listen, public_url = %config.public_url, "starting");
            Shop::build(config, listener).await?.run(stop).await
        }
        #[cfg(feature = "demo")]
        None => shop::demo::run(arguments.api, arguments.port, stop).await,
        #[cfg(not(feature = "demo"))]
        None => anyhow::bail!("this shop was built without its demo: start it with `--config`"),
    }
}

fn log(is_json: bool) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(default_level(is_json)));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if is_json {
        // The list of spans has the current one.
        log.json()
            .flatten_event(true)
            .with_current_span(false)
            .init();
    } else {
        log.init();
    }
}

/// A person at a terminal wants to see the addresses, and what goes wrong.
fn default_level(is_json: bool) -> &'static str {
    if is_json { "info" } else { "warn" }
}

/// Ctrl-C, and SIGTERM where there are signals. A second one ends the process at once.
async fn cancel_on_signal(stop: CancellationToken) {
    signal().await;
    tracing::info!("stopping");
    stop.cancel();
    signal().await;
    std::process::exit(1);
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminated = match signal(SignalKind::terminate()) {
        Ok(terminated) => terminated,
        Err(error) => {
            tracing::error!(%error, "can't wait for SIGTERM");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
