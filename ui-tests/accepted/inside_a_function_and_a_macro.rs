macro_rules! contract {
    ($kind:ident, $name:ident, $field:ident: $type:ty) => {
        #[digime::digime_contract($kind)]
        struct $name {
            application_id: digime::ApplicationId,
            contract_id: digime::ContractId,
            #[digime(private_key)]
            $field: $type,
            redirect_uri: digime::RedirectUri,
        }
    };
}

contract!(ongoing, Receipts, r#type: digime::PrivateKey);

fn main() {
    #[digime::digime_contract(once)]
    struct r#Welcome {
        application_id: digime::ApplicationId,
        contract_id: digime::ContractId,
        private_key: digime::PrivateKey,
        redirect_uri: digime::RedirectUri,
    }

    fn begin(receipts: Receipts, welcome: &'static Welcome, client: &digime::Client) {
        let _: (ReceiptsFlow, WelcomeFlow) = (receipts.flow(client), welcome.flow(client));
    }
    let _ = begin;
}
