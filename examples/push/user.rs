//! The user: simulated by the sandbox, or a person in front of a terminal.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, Result};
use digime::url::Url;
use digime::{Callback, Delivery, DeliveryStatus};
use digime_sandbox::Sandbox;
use serde::Serialize;

pub(crate) enum User {
    /// The sandbox's user, who consents at once and whose inbox can be read.
    Simulated(Box<Sandbox>),
    /// A person who opens the link and enters the URL that was called back.
    Person,
}

impl User {
    /// Prints a state that the flow has reached.
    pub(crate) fn see(&self, state: &str) {
        if let Self::Simulated(_) = self {
            println!("state: {state}");
        }
    }

    /// Opens the link and returns the callback.
    pub(crate) async fn answer(&self, link: &Url) -> Result<Callback> {
        let called = match self {
            Self::Simulated(sandbox) => sandbox.consent(link).await?.to_string(),
            Self::Person => {
                println!("open {link}");
                tokio::task::spawn_blocking(read_line).await??
            }
        };
        Ok(Callback::from_url(called)?)
    }

    /// Prints the outcome for a file.
    pub(crate) fn receive(&self, file: &Path, delivery: &Delivery) -> Result<()> {
        match self {
            Self::Simulated(sandbox) => {
                let inbox = sandbox.inbox();
                let received = inbox.last().context("nothing arrived")?;
                let name = match received.name.as_str() {
                    "" => received.descriptor["reference"][0].as_str(),
                    name => Some(name),
                };
                println!(
                    "received: {} ({} bytes) sha256 {}",
                    name.unwrap_or_default(),
                    received.size,
                    received.sha256
                );
            }
            Self::Person => {
                let status = match delivery.status() {
                    DeliveryStatus::Delivered => "delivered",
                    DeliveryStatus::Pending => "pending",
                };
                let expires = delivery.expires_in().map(|expires| expires.as_secs());
                let told = Told {
                    file: file.to_string_lossy(),
                    status,
                    expires,
                };
                println!("{}", serde_json::to_string(&told)?);
            }
        }
        Ok(())
    }
}

/// The outcome for a file, as one line of JSON.
#[derive(Serialize)]
struct Told<'a> {
    file: Cow<'a, str>,
    status: &'static str,
    /// Seconds.
    expires: Option<u64>,
}

fn read_line() -> std::io::Result<String> {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line)? {
        0 => Err(std::io::Error::other(
            "no callback URL on standard input: paste the URL that was called, as one line",
        )),
        _ => Ok(line),
    }
}
