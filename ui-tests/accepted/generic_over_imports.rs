//! Code that is generic over contracts that push by import, and over both APIs.

use digime::kind::FlowKind;
use digime::push::Pushes;
use digime::store::{MemoryStore, ParkedFlows, SharedTokens, Store};
use digime::tokens::TokenContract;
use digime::{
    ApplicationId, Callback, Client, Contract, ContractId, Error, Flow, OngoingContract,
    PostboxItem, PrivateKey, RedirectUri, Verifier, digime_contract,
};
use digime_import::{AwaitingConsent, Connected, Import, ImportFlow, end_connection};

#[digime_contract(kind = Import)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

#[digime_contract(ongoing)]
struct Results {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

async fn ask<C: Contract<Kind = Import>>(
    flows: &ParkedFlows<impl Store>,
    contract: &C,
    client: &Client,
) -> Result<Flow<C, AwaitingConsent<Verifier>>, Error> {
    let awaiting = Import::begin(contract.flow(client)).authorize().await?;
    flows.park(awaiting.suspend().with("customer-42")).await?;
    Ok(awaiting)
}

async fn connect<C: Contract<Kind = Import> + Sync + 'static>(
    tokens: &SharedTokens<impl Store>,
    contract: &C,
    client: &Client,
    awaiting: Flow<C, AwaitingConsent<Verifier>>,
    callback: Callback,
) -> Result<Flow<C, Connected>, Error> {
    let connected = awaiting.exchange_code(callback).await?;
    let connected = tokens.keep("customer-42", connected).await?;
    let _ = connected.push(PostboxItem::file("receipt.pdf")).await?;
    end_connection(tokens, "customer-42", contract, client).await?;
    Ok(connected)
}

/// A callback and a push, by API 1.5 or 1.7.
async fn called_back<C: TokenContract<Granted: Pushes> + Sync + 'static>(
    tokens: &SharedTokens<impl Store>,
    contract: &C,
    client: &Client,
    callback: Callback,
) -> Result<bool, Error> {
    let user = |customer: &String| customer.clone();
    let (flow, customer) = tokens
        .receive_callback(callback, contract, client, user)
        .await?;
    let delivery = Pushes::push(&flow, PostboxItem::file("receipt.pdf")).await?;
    println!("{:?}", delivery.status());
    let Some(flow) = tokens.find(&customer, contract, client).await? else {
        return Ok(false);
    };
    digime::tokens::refresh(&flow).await?;
    tokens.attach(&customer, contract, &"gold").await
}

/// A contract that is ongoing needs no more.
async fn of_a_postbox<C: OngoingContract + Sync + 'static>(
    tokens: &SharedTokens<MemoryStore>,
    contract: &C,
    client: &Client,
    callback: Callback,
) -> Result<bool, Error> {
    called_back(tokens, contract, client, callback).await
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all(receipts: Receipts, results: Results, callback: Callback) -> Result<(), Error> {
    let client = digime_import::client().build()?;
    let store = MemoryStore::new();
    let (flows, tokens) = (ParkedFlows::new(store.clone()), SharedTokens::new(store));
    let awaiting = send(ask(&flows, &receipts, &client)).await?;
    let connecting = connect(&tokens, &receipts, &client, awaiting, callback.clone());
    let _ = send(connecting).await?;
    send(called_back(&tokens, &receipts, &client, callback.clone())).await?;
    send(called_back(&tokens, &results, &client, callback.clone())).await?;
    send(of_a_postbox(&tokens, &results, &client, callback)).await?;
    Ok(())
}

fn main() {
    let _ = all;
}
