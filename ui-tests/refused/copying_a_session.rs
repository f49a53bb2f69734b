use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri, Session, digime_contract};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

fn copy(session: Session<Receipts>) {
    let other = session.clone();
    println!("{:?} {:?}", session.expires_at(), other.expires_at());
}

fn main() {}
