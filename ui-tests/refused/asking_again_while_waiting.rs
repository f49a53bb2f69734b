use digime::{
    ApplicationId, AwaitingCallback, ContractId, Error, PrivateKey, RedirectUri, Session, Verifier,
    digime_contract,
};

#[digime_contract(ongoing)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn ask(
    awaiting: ReceiptsFlow<AwaitingCallback<Verifier>>,
    session: Session<Receipts>,
) -> Result<(), Error> {
    let again = awaiting.create_postbox(session).await?;
    println!("{}", again.url());
    Ok(())
}

fn main() {}
