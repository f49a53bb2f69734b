//! Contracts with the attribute, and the same contract written by hand.

use digime::kind::Once;
use std::sync::Arc;

use digime::{
    ApplicationId, Callback, Contract, ContractId, Delivery, Flow, OnceContract, PostboxItem,
    PrivateKey, RedirectUri, Signer, digime_contract,
};

use digime_sandbox::{NewContract, Sandbox};

use crate::set_up::{client, contract, once_json, sandbox};

/// The code that `#[digime_contract(once)]` generates, written by hand.
#[derive(serde::Deserialize)]
struct ByHand {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

impl Contract for ByHand {
    type Kind = Once;
    fn application_id(&self) -> &ApplicationId {
        &self.application_id
    }
    fn contract_id(&self) -> &ContractId {
        &self.contract_id
    }
    fn private_key(&self) -> Arc<dyn Signer> {
        self.private_key.shared()
    }
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }
}

impl OnceContract for ByHand {}

#[tokio::test]
async fn a_contract_written_by_hand_works_like_an_annotated_one() {
    let sandbox = sandbox().await;
    let by_hand: ByHand = contract(once_json(&sandbox));
    let flow = by_hand.flow(&client(&sandbox));
    let _ = push_once(flow, &sandbox).await.expect("a delivery");
    assert_eq!(sandbox.inbox().len(), 1);
}

#[digime_contract(
    once,
    application_id = "corner-shop",
    contract_id = "corner-shop-receipts",
    redirect_uri = "https://shop.example/callback"
)]
#[derive(serde::Deserialize)]
struct Literals {
    private_key: PrivateKey,
}

#[tokio::test]
async fn literals_replace_fields() {
    let registered = NewContract::once("corner-shop-receipts")
        .application_id("corner-shop")
        .redirect_uri("https://shop.example/callback");
    let started = Sandbox::builder().contract(registered).start().await;
    let sandbox = started.expect("a port");
    let registered = sandbox.contract("corner-shop-receipts").expect("it");
    let literals: Literals = contract(serde_json::to_value(registered).expect("JSON"));
    let flow = literals.flow(&client(&sandbox));
    let _ = push_once(flow, &sandbox).await.expect("a delivery");
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[digime_contract(ongoing)]
#[derive(serde::Deserialize)]
struct OfTheProgram {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[tokio::test]
async fn a_contract_can_be_read_from_what_the_sandbox_prints() {
    let registered = NewContract::ongoing("corner-shop-receipts").application_id("corner-shop");
    let started = Sandbox::builder().contract(registered).start().await;
    let sandbox = started.expect("a port");
    let printed = sandbox.describe().to_string();
    let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    for name in ["ongoing", "corner-shop-receipts"] {
        let read: OfTheProgram = contract(printed["contracts"][name].clone());
        let flow = read.flow(&client(&sandbox));
        let session = flow.establish_session().await.expect("a session");
        let awaiting = flow.create_postbox(session).await.expect("a link");
        let callback = sandbox.consent(awaiting.url()).await.expect("a callback");
        let callback = Callback::from_url(callback).expect("a callback");
        let flow = awaiting.exchange_code(callback).await.expect("tokens");
        let _ = flow
            .push(PostboxItem::bytes("a", "b"))
            .await
            .expect("a delivery");
    }
    let arrived = sandbox.inbox();
    assert_eq!(arrived[1].contract_id, "corner-shop-receipts");
    assert_eq!(arrived[1].application_id, "corner-shop");
}

/// Code that is generic over the contract names the kind and gets the calls of that kind.
async fn push_once<C: OnceContract + 'static>(
    flow: Flow<C>,
    user: &Sandbox,
) -> Result<Delivery, Box<dyn std::error::Error>> {
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    let callback = Callback::from_url(user.consent(awaiting.url()).await?)?;
    let ready = awaiting.receive_postbox(callback)?;
    Ok(ready.push(PostboxItem::bytes("a", "b")).await?)
}

#[tokio::test]
async fn futures_can_be_sent_to_other_threads() {
    let sandbox = sandbox().await;
    let by_hand: ByHand = contract(once_json(&sandbox));
    let flow = by_hand.flow(&client(&sandbox));
    let pushed = tokio::spawn(async move {
        let delivery = push_once(flow, &sandbox).await;
        delivery
            .map(|_| sandbox.inbox().len())
            .map_err(|error| error.to_string())
    });
    assert_eq!(pushed.await.expect("a task"), Ok(1));
}
