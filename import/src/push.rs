//! Both sorts of push: into the person's library, and to a provider of care.

use digime::error::Operation;
use digime::push::{Descriptor, PushMany, Pushes};
use digime::request::Request;
use digime::{Delivery, Error, Flow, PostboxItem};
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::{Connected, ImportError, ImportFlow};

/// The longest descriptor in bytes of JSON. It is sent in a header, as base64, with a signature of 342 characters, and servers
/// limit headers to 8 KiB.
const LONGEST_DESCRIPTOR: usize = 4096;

/// What is sent of an item besides its bytes, as the header `FileDescriptor` has it.
#[derive(Serialize)]
struct FileDescriptor {
    metadata: Descriptor,
}

impl FileDescriptor {
    /// # Errors
    /// [`ImportError`] if the platform would refuse it, an [`Error::Item`] if the item can't be pushed.
    fn of(item: &PostboxItem) -> Result<Self, Error> {
        let metadata = item.descriptor()?;
        if !metadata.has_account() {
            return Err(ImportError::NoAccount.into());
        }
        if metadata.mime_type().is_empty() {
            return Err(ImportError::NoMediaType.into());
        }
        let descriptor = Self { metadata };
        let length = serde_json::to_string(&descriptor).map_or(0, |json| json.len());
        if length > LONGEST_DESCRIPTOR {
            let longest = LONGEST_DESCRIPTOR;
            return Err(ImportError::DescriptorTooLong { length, longest }.into());
        }
        Ok(descriptor)
    }
}

/// `POST permission-access/import`
pub(crate) async fn push<C>(
    flow: &Flow<C, Connected>,
    item: PostboxItem,
) -> Result<Delivery, Error> {
    let connected = flow.as_state();
    connected.check_not_ending()?;
    let descriptor = FileDescriptor::of(&item)?;
    let request = || {
        Request::post(["permission-access", "import"], Operation::Push)
            .signed_header("FileDescriptor", &descriptor)
            .item("application/octet-stream", item.clone())
            .without_redirect_uri()
            .status_only()
    };
    connected.grant().request(flow, request).await?;
    Ok(Delivery::delivered())
}

pub(crate) fn push_many<C>(
    flow: &Flow<C, Connected>,
    items: impl IntoIterator<Item = PostboxItem, IntoIter: Send + 'static>,
) -> PushMany<'_> {
    PushMany::new(items, |item| ImportFlow::push(flow, item))
}

impl Pushes for Connected {
    fn push<C>(flow: &Flow<C, Self>, item: PostboxItem) -> BoxFuture<'_, Result<Delivery, Error>> {
        ImportFlow::push(flow, item)
    }
}

/// An account that a person has with a provider of care, and the version of FHIR that the provider takes (MedMij only).
///
/// ```
/// use digime_import::{FhirVersion, ProviderAccount};
///
/// let hospital = ProviderAccount::new("account-1", FhirVersion::Stu3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderAccount {
    id: String,
    version: FhirVersion,
}

/// A version of FHIR, the standard of what is pushed to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FhirVersion {
    /// `stu3`
    Stu3,
    /// `3.0.2`
    V3_0_2,
}

impl FhirVersion {
    fn name(self) -> &'static str {
        match self {
            Self::Stu3 => "stu3",
            Self::V3_0_2 => "3.0.2",
        }
    }
}

impl ProviderAccount {
    /// The account with this id. It is the `id` in the list of the person's accounts, whose `reference` is the
    /// [`account_reference`](Connected::account_reference).
    #[must_use]
    pub fn new(id: impl Into<String>, version: FhirVersion) -> Self {
        Self {
            id: id.into(),
            version,
        }
    }
}

/// `POST permission-access/import/h:accountId/{standard}/{version}`
pub(crate) async fn push_to_provider<C>(
    flow: &Flow<C, Connected>,
    account: ProviderAccount,
    resource: PostboxItem,
) -> Result<Delivery, Error> {
    let connected = flow.as_state();
    connected.check_not_ending()?;
    let version = account.version.name();
    let path = [
        "permission-access",
        "import",
        "h:accountId",
        "fhir",
        version,
    ];
    let request = || {
        Request::post(path, Operation::Push)
            .header("accountId", &account.id)
            .item("application/json", resource.clone())
            .without_redirect_uri()
            .status_only()
    };
    connected.grant().request(flow, request).await?;
    Ok(Delivery::delivered())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_without_an_account_or_with_too_much_said_of_it_is_refused() {
        let refused = |item: &PostboxItem| {
            let error = FileDescriptor::of(item).err().expect("a refusal");
            error.as_extension::<ImportError>().cloned().expect("ours")
        };
        let item = PostboxItem::bytes("a.txt", "x");
        assert_eq!(refused(&item), ImportError::NoAccount);
        assert_eq!(refused(&item.clone().account("")), ImportError::NoAccount);
        let item = item.account("customer-42");
        assert!(FileDescriptor::of(&item).is_ok());
        let untyped = item.clone().mime_type("");
        assert_eq!(refused(&untyped), ImportError::NoMediaType);
        let error = refused(&item.tag("x".repeat(4096)));
        assert!(
            matches!(error, ImportError::DescriptorTooLong { .. }),
            "{error}"
        );
    }
}
