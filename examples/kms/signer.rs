//! The signer of the flow, which asks the other process.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use digime::error::SignerError;
use digime::{Signer, async_trait};
use tokio::net::UnixStream;

use crate::wire;

/// How long the service may take for one request. With its retries a signature stays within the client's `timeout`.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(crate) struct KmsSigner {
    socket: PathBuf,
    key_id: String,
}

/// Why the service does not answer.
#[derive(Debug, thiserror::Error)]
enum KmsError {
    #[error("the KMS is not reached")]
    Io(#[from] io::Error),
    #[error("the KMS did not answer within {TIMEOUT:?}")]
    TimedOut,
    #[error("the KMS is too busy: {0}")]
    Busy(String),
    #[error("the KMS refused: {0}")]
    Refused(String),
}

impl KmsSigner {
    /// Asks the service which key it has.
    pub(crate) async fn connect(socket: PathBuf) -> Result<Self, SignerError> {
        let key_id = String::new();
        let mut signer = Self { socket, key_id };
        let key_id = signer.ask(wire::KEY_ID, b"").await?;
        signer.key_id = String::from_utf8_lossy(&key_id).into_owned();
        Ok(signer)
    }

    /// Asks the service, and asks again after a failure that may pass.
    async fn ask(&self, kind: u8, bytes: &[u8]) -> Result<Vec<u8>, SignerError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_times(2)
            .with_jitter();
        let asked = (|| self.ask_once(kind, bytes))
            .retry(pauses)
            .when(|error| !matches!(error, KmsError::Refused(_)))
            .await;
        asked.map_err(|error| match error {
            KmsError::Refused(_) => SignerError::refused(error),
            _ => SignerError::unavailable(error),
        })
    }

    async fn ask_once(&self, kind: u8, bytes: &[u8]) -> Result<Vec<u8>, KmsError> {
        let asking = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            wire::write(&mut stream, kind, bytes).await?;
            wire::read(&mut stream).await
        };
        let answer = tokio::time::timeout(TIMEOUT, asking).await;
        let (kind, bytes) = answer.map_err(|_| KmsError::TimedOut)??;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match kind {
            wire::DONE => Ok(bytes),
            wire::UNAVAILABLE => Err(KmsError::Busy(said(&bytes))),
            _ => Err(KmsError::Refused(said(&bytes))),
        }
    }
}

#[async_trait]
impl Signer for KmsSigner {
    fn key_id(&self) -> &str {
        &self.key_id
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.ask(wire::SIGN, message).await
    }
}
