//! The process that holds the key.

use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use digime::error::SignerError;
use digime::{PrivateKey, Signer};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};

use crate::wire;

/// Signs until standard input ends, as it does when the process that started this one is gone.
pub(crate) async fn run(socket: &Path, key_file: &Path) -> Result<()> {
    let name = key_file.display();
    let pem = std::fs::read(key_file).with_context(|| format!("can't read `{name}`"))?;
    let key = PrivateKey::from_pem(pem).with_context(|| format!("`{name}`"))?;
    let listener = UnixListener::bind(socket)?;
    println!("ready");
    let mut input = tokio::io::stdin();
    tokio::select! {
        ended = input.read_u8() => drop(ended),
        failed = serve(&listener, &key) => failed?,
    }
    Ok(())
}

async fn serve(listener: &UnixListener, key: &PrivateKey) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let key = key.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(stream, &key).await {
                eprintln!("a client is gone: {error}");
            }
        });
    }
}

async fn answer(mut stream: UnixStream, key: &PrivateKey) -> io::Result<()> {
    let (kind, bytes) = wire::read(&mut stream).await?;
    let answer = match kind {
        wire::KEY_ID => Ok(key.key_id().as_bytes().to_vec()),
        wire::SIGN => key.sign(&bytes).await,
        _ => Err(SignerError::Unsupported),
    };
    match answer {
        Ok(bytes) => wire::write(&mut stream, wire::DONE, &bytes).await,
        Err(error) => {
            let kind = match error {
                SignerError::Unavailable(_) => wire::UNAVAILABLE,
                _ => wire::REFUSED,
            };
            wire::write(&mut stream, kind, error.to_string().as_bytes()).await
        }
    }
}
