//! Signs in another process, as a key-management service (KMS) would, so that no private key enters the process of the flow.
//!
//! `cargo run --example kms -- push --base-url URL --config contract.toml --key-file KEY.pem FILE…` starts the service as a
//! child, prints the link to open, reads the URL that was called back from standard input, and pushes the files.
//! `contract.toml` has `application_id`, `contract_id` and `redirect_uri`.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod flow;
#[cfg(unix)]
mod service;
#[cfg(unix)]
mod signer;
#[cfg(unix)]
mod wire;

#[cfg(unix)]
#[tokio::main]
async fn main() -> std::process::ExitCode {
    let outcome = match <Role as clap::Parser>::parse() {
        Role::Push(arguments) => flow::run(arguments).await,
        Role::Serve { socket, key_file } => service::run(&socket, &key_file).await,
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Pushes files under a contract whose key another process holds.
#[cfg(unix)]
#[derive(clap::Parser)]
enum Role {
    /// Runs a flow, and starts the service for it.
    Push(flow::Arguments),
    /// Holds the key and signs for whoever can open the socket. It ends with its standard input.
    Serve {
        /// Where to listen.
        #[arg(long, value_name = "PATH")]
        socket: std::path::PathBuf,
        /// The private key, as PEM.
        #[arg(long, value_name = "FILE")]
        key_file: std::path::PathBuf,
    },
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs Unix sockets");
}
