//! A framework's macros that write contracts, with parts of each struct from where they are called.

mod framework {
    pub use ::digime;

    /// The kind, the visibility, the names, the type and the literals come from the caller.
    #[macro_export]
    macro_rules! one_contract {
        ($(#[$docs:meta])* $vis:vis $kind:ident $name:ident {
            $field:ident: $type:ty, $id:literal, $uri:expr
        }) => {
            $(#[$docs])*
            #[$crate::framework::digime::digime_contract(
                $kind,
                crate = $crate::framework::digime,
                application_id = $id,
                redirect_uri = $uri
            )]
            $vis struct $name {
                contract_id: $crate::framework::digime::ContractId,
                #[digime(private_key)]
                $field: $type,
            }
        };
    }

    /// Everything but the attribute comes from the caller, and the path to the library too.
    #[macro_export]
    macro_rules! whole_contract {
        ($kind:ident, $library:path, $item:item) => {
            #[$crate::framework::digime::digime_contract($kind, crate = $library)]
            $item
        };
    }

    /// The attribute comes from the caller, the struct from here.
    #[macro_export]
    macro_rules! fields {
        ($(#[$attribute:meta])* $name:ident($($role:ident: $type:ty),*) $(where $own:ident: $bound:path)?) => {
            $(#[$attribute])*
            struct $name<$($own: $bound)?>($(#[digime($role)] $type,)* $($own)?);
        };
    }
}

one_contract! {
    /// A contract.
    pub ongoing Receipts {
        signing_key: framework::digime::PrivateKey, "app-1", "https://shop.example/digime"
    }
}

whole_contract! {
    once,
    framework::digime,
    struct Welcome {
        application_id: digime::ApplicationId,
        contract_id: digime::ContractId,
        private_key: digime::PrivateKey,
        redirect_uri: digime::RedirectUri,
    }
}

fields! {
    #[digime::digime_contract(ongoing)]
    Results(
        application_id: digime::ApplicationId,
        contract_id: digime::ContractId,
        private_key: digime::PrivateKey,
        redirect_uri: digime::RedirectUri
    ) where Own: Clone
}

fn main() {
    fn begin(
        receipts: &Receipts,
        welcome: &Welcome,
        results: &Results<u8>,
        client: &digime::Client,
    ) {
        let _: (ReceiptsFlow, WelcomeFlow, ResultsFlow<u8>) = (
            receipts.flow(client),
            welcome.flow(client),
            results.flow(client),
        );
        let _: u8 = results.4;
    }
    let _ = begin;
}
