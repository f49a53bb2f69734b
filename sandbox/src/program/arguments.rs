use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use digime_sandbox::{Builder, Sandbox};

use crate::contracts_file::{self, FileError};

/// A local digi.me for tests and demos: the platform, a person, and the person's phone.
///
/// It prints one line of JSON with its addresses and contracts, and serves until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// The port to listen on; 0 is any free one
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// The IP address to listen on. Whoever can reach another one than the loopback can read what the sandbox receives
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub(crate) bind: IpAddr,

    /// How clients name the sandbox, such as `http://sandbox:8700` [default: the address]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,

    /// A TOML file with contracts, see the README
    #[arg(long, value_name = "FILE")]
    contracts: Option<PathBuf>,

    /// How long access tokens last, such as 10s, 5m or 1d [default: 1d]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    access_token_lifetime: Option<Duration>,

    /// How long sessions last, such as 10s, 5m or 1d [default: 30m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    session_lifetime: Option<Duration>,

    /// How long consents last, and with them refresh tokens, such as 10s, 5m or 1d [default: 30d]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    consent_lifetime: Option<Duration>,
}

impl Arguments {
    pub(crate) fn builder(self) -> Result<Builder, FileError> {
        let mut builder = Sandbox::builder().bind((self.bind, self.port));
        if let Some(url) = self.public_url {
            builder = builder.public_url(url);
        }
        if let Some(lifetime) = self.access_token_lifetime {
            builder = builder.access_token_lifetime(lifetime);
        }
        if let Some(lifetime) = self.session_lifetime {
            builder = builder.session_lifetime(lifetime);
        }
        if let Some(lifetime) = self.consent_lifetime {
            builder = builder.consent_lifetime(lifetime);
        }
        if let Some(file) = self.contracts {
            for contract in contracts_file::read(&file)? {
                builder = builder.contract(contract);
            }
        }
        Ok(builder)
    }
}
