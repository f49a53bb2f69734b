//! An ongoing contract, from one annotated struct to a delivered item, against an embedded sandbox.

use digime::{
    ApplicationId, Callback, Client, ContractId, PostboxItem, PrivateKey, RedirectUri,
    digime_contract,
};
use digime_sandbox::Sandbox;

#[digime_contract(ongoing)]
#[derive(serde::Deserialize)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::start().await?;
    let receipts: Receipts =
        serde_json::from_value(serde_json::to_value(&sandbox.contracts().ongoing)?)?;
    let client = Client::builder().base_url(sandbox.base_url()).build()?;

    let flow = receipts.flow(&client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;

    // In production the user's digi.me client opens the link, and the callback is another HTTP request.
    let called = sandbox.consent(awaiting.url()).await?;

    let authorized = awaiting.exchange_code(Callback::from_url(called)?).await?;
    let delivery = authorized
        .push(PostboxItem::bytes("receipt.txt", "1 coffee").tag("receipt"))
        .await?;
    println!("{:?}: {:?}", delivery.status(), sandbox.inbox());
    Ok(())
}
