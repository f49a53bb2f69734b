//! The types that a field must have for each role in a contract.
//!
//! The attribute requires the trait of its role of each field, so that the compiler's error about a field of another type
//! says which type is needed and how to make it.

use std::sync::Arc;

use crate::contract::{ApplicationId, ContractId, RedirectUri, Signer};

macro_rules! roles {
    ($($(#[$docs:meta])* $name:ident: $type:ty, $message:literal, $note:literal;)*) => {
        $(
            $(#[$docs])*
            #[diagnostic::on_unimplemented(
                message = $message,
                label = "this is not the right type for the role",
                note = $note
            )]
            pub trait $name: sealed::Role {
                #[doc(hidden)]
                fn role(&self) -> &$type;
            }

            impl sealed::Role for $type {}

            #[diagnostic::do_not_recommend]
            impl $name for $type {
                fn role(&self) -> &$type {
                    self
                }
            }
        )*
    };
}

roles! {
    /// A field for the role `application_id`.
    IsApplicationId: ApplicationId,
        "a contract's `application_id` is an `ApplicationId`, not `{Self}`",
        "make the field an `ApplicationId`; serde reads it, and `ApplicationId::new(\"…\")?` makes one";
    /// A field for the role `contract_id`.
    IsContractId: ContractId,
        "a contract's `contract_id` is a `ContractId`, not `{Self}`",
        "make the field a `ContractId`; serde reads it, and `ContractId::new(\"…\")?` makes one";
    /// A field for the role `redirect_uri`.
    IsRedirectUri: RedirectUri,
        "a contract's `redirect_uri` is a `RedirectUri`, not `{Self}`",
        "make the field a `RedirectUri`; serde reads it, and `RedirectUri::new(\"https://…\")?` makes one";
}

/// A field for the role `private_key`: a [`PrivateKey`](crate::PrivateKey), or any other [`Signer`] that is `Clone`.
#[diagnostic::on_unimplemented(
    message = "a contract's `private_key` is a `PrivateKey` or another `Signer`, not `{Self}`",
    label = "this is not the right type for the role",
    note = "make the field a `PrivateKey`, which serde reads from PEM and `PrivateKey::from_pem(pem)?` makes, or a type of your own that implements `digime::Signer` and `Clone`; a signer that is not `Clone` goes into an `Arc`"
)]
pub trait IsPrivateKey {
    #[doc(hidden)]
    fn role(&self) -> Arc<dyn Signer>;
}

#[diagnostic::do_not_recommend]
impl<T: Signer + Clone> IsPrivateKey for T {
    fn role(&self) -> Arc<dyn Signer> {
        self.shared()
    }
}

mod sealed {
    /// Keeps other types from having a role.
    #[expect(unnameable_types, reason = "it seals a public trait")]
    pub trait Role {}
}
