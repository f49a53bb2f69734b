use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use zeroize::Zeroizing;

/// What signs the requests of a contract: a [`PrivateKey`](crate::PrivateKey) in memory, or a service that keeps the key,
/// such as an HSM or a KMS.
///
/// Each attempt at a request is signed anew. A signature may take as long as the client's
/// [`timeout`](crate::ClientBuilder::timeout). If a signature fails, the request is not sent, and the call tries again if
/// [`SignerError::Unavailable`] says that this may help. The future of a dropped call is dropped too. A signer that blocks
/// its thread belongs into `tokio::task::spawn_blocking`.
///
/// ```
/// use digime::error::SignerError;
/// use digime::{ApplicationId, ContractId, RedirectUri, Signer, async_trait, digime_contract};
///
/// # #[derive(Clone, Debug)]
/// # struct Kms;
/// # impl Kms {
/// #     async fn sign_ps512(&self, _: &str, _: &[u8]) -> std::io::Result<Vec<u8>> { Ok(Vec::new()) }
/// # }
/// #[derive(Clone, Debug)]
/// struct KmsSigner {
///     kms: Kms,
///     key_id: String,
/// }
///
/// #[async_trait]
/// impl Signer for KmsSigner {
///     fn key_id(&self) -> &str {
///         &self.key_id
///     }
///
///     async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
///         let signed = self.kms.sign_ps512(&self.key_id, message).await;
///         signed.map_err(SignerError::unavailable)
///     }
/// }
///
/// #[digime_contract(ongoing)]
/// struct Receipts {
///     application_id: ApplicationId,
///     contract_id: ContractId,
///     private_key: KmsSigner,
///     redirect_uri: RedirectUri,
/// }
/// ```
#[async_trait]
pub trait Signer: fmt::Debug + Send + Sync + 'static {
    /// The id of the key, for errors and logs. It is no secret.
    ///
    /// ```
    /// # use digime::Signer;
    /// fn announce(signer: &impl Signer) {
    ///     println!("requests are signed with {}", signer.key_id());
    /// }
    /// ```
    fn key_id(&self) -> &str;

    /// Signs a message by RSASSA-PSS with SHA-512, MGF1 SHA-512 and a salt of 64 bytes: `PS512` (RFC 7518, section 3.5).
    /// The signature has as many bytes as the key's modulus.
    ///
    /// ```
    /// # use digime::Signer;
    /// # use digime::error::SignerError;
    /// # async fn run(signer: &impl Signer) -> Result<(), SignerError> {
    /// let signature = signer.sign(b"header.claims").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`SignerError::Unavailable`] if another try may succeed.
    /// - [`SignerError::Refused`] if it would not.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;

    /// Decrypts what was encrypted to the contract's public key, by RSA-OAEP with SHA-1 and MGF1 SHA-1. The flows of this
    /// library do not need it.
    ///
    /// ```
    /// # use digime::Signer;
    /// # use digime::error::SignerError;
    /// # async fn run(signer: &impl Signer, sealed_key: &[u8]) -> Result<(), SignerError> {
    /// let content_key = signer.decrypt(sealed_key).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SignerError`] as [`sign`](Self::sign) has, and [`SignerError::Unsupported`] if the signer does not define this
    /// method.
    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, SignerError> {
        let _ = ciphertext;
        Err(SignerError::Unsupported)
    }

    /// The signer as a flow holds it: a clone behind an [`Arc`]. Each flow calls it once.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use digime::{PrivateKey, Signer};
    /// # fn run(key: &PrivateKey) {
    /// let signer: Arc<dyn Signer> = key.shared();
    /// # }
    /// ```
    #[must_use]
    fn shared(&self) -> Arc<dyn Signer>
    where
        Self: Clone + Sized,
    {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl<T: Signer + ?Sized> Signer for Arc<T> {
    fn key_id(&self) -> &str {
        (**self).key_id()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        (**self).sign(message).await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, SignerError> {
        (**self).decrypt(ciphertext).await
    }
}

/// Why a [`Signer`] did not sign or decrypt.
///
/// The sources are errors of the signer's own, which the application can downcast.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The key can't be used at the moment: its service is not reached, too busy, or too slow.
    #[error("the key can't be used at the moment")]
    Unavailable(#[source] Arc<dyn StdError + Send + Sync>),
    /// The key can't be used, and another try would not change that.
    #[error("the key can't be used")]
    Refused(#[source] Arc<dyn StdError + Send + Sync>),
    /// The signer does not offer this use of the key.
    #[error("this signer does not offer this use of the key")]
    Unsupported,
}

impl SignerError {
    /// A failure that may pass, such as a network error or a throttled request.
    ///
    /// ```
    /// # use digime::error::SignerError;
    /// # fn read() -> std::io::Result<Vec<u8>> { Err(std::io::ErrorKind::TimedOut.into()) }
    /// let error = read().map_err(SignerError::unavailable).unwrap_err();
    /// assert!(matches!(error, SignerError::Unavailable(_)));
    /// ```
    pub fn unavailable(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Unavailable(Arc::new(cause))
    }

    /// A failure that is final, such as a missing permission or a key that was deleted.
    ///
    /// ```
    /// # use digime::error::SignerError;
    /// # use std::io::{Error, ErrorKind};
    /// let error = SignerError::refused(Error::from(ErrorKind::PermissionDenied));
    /// assert!(matches!(error, SignerError::Refused(_)));
    /// ```
    pub fn refused(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Refused(Arc::new(cause))
    }

    /// What the signer said, if it said anything.
    pub(crate) fn cause(&mut self) -> Option<&mut Arc<dyn StdError + Send + Sync>> {
        match self {
            Self::Unavailable(cause) | Self::Refused(cause) => Some(cause),
            Self::Unsupported => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;
    use crate::vectors;

    #[derive(Clone, Debug)]
    struct Bare;

    #[async_trait]
    impl Signer for Bare {
        fn key_id(&self) -> &'static str {
            "bare"
        }

        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
            Ok(message.to_vec())
        }
    }

    #[tokio::test]
    async fn a_signer_behind_an_arc_is_the_same_signer() {
        let pem = vectors::key_pem("contract", "PRIVATE KEY", "pkcs8_private_der_b64");
        let key = PrivateKey::from_pem(pem).expect("a key");
        let shared: Arc<dyn Signer> = key.shared().shared();
        assert_eq!(shared.key_id(), key.key_id());
        let signature = shared.sign(b"message").await.expect("a signature");
        vectors::assert_ps512(&signature, b"message", "contract");
        assert!(shared.decrypt(b"rubbish").await.is_err());
    }

    #[tokio::test]
    async fn a_signer_that_only_signs_says_so_when_it_is_asked_to_decrypt() {
        let error = Bare.shared().decrypt(b"sealed").await.unwrap_err();
        assert!(matches!(error, SignerError::Unsupported), "{error}");
    }
}
