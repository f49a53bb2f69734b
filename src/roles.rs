//! The types that a field must have for each role in a contract.
//!
//! Each trait is implemented by one type. The attribute requires it of the field, so that the compiler's error about a field
//! of another type says which type is needed and how to make it.

use crate::contract::{ApplicationId, ContractId, PrivateKey, RedirectUri};

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
    /// A field for the role `private_key`.
    IsPrivateKey: PrivateKey,
        "a contract's `private_key` is a `PrivateKey`, not `{Self}`",
        "make the field a `PrivateKey`; serde reads it from PEM, and `PrivateKey::from_pem(pem)?` makes one";
    /// A field for the role `redirect_uri`.
    IsRedirectUri: RedirectUri,
        "a contract's `redirect_uri` is a `RedirectUri`, not `{Self}`",
        "make the field a `RedirectUri`; serde reads it, and `RedirectUri::new(\"https://…\")?` makes one";
}

mod sealed {
    /// Keeps other types from having a role.
    #[expect(unnameable_types, reason = "it seals a public trait")]
    pub trait Role {}
}
