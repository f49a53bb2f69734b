use digime::{
    ApplicationId, ContractId, PrivateKey, RedirectUri, Suspended, Unstarted, digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

struct Parked {
    flow: Suspended<Receipts, Unstarted>,
}

fn main() {}
