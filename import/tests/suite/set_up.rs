use std::time::Duration;

use digime::store::{MemoryStore, ParkedFlows, SharedTokens};
use digime::{
    ApplicationId, Callback, Client, ClientBuilder, ContractId, Error, Flow, PostboxItem,
    PrivateKey, RedirectUri, digime_contract,
};
use digime_import::{Connected, Import, ImportFlow, OnboardingUrl};
use digime_sandbox::Sandbox;

#[digime_contract(kind = Import)]
#[derive(Clone, serde::Deserialize)]
pub(crate) struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A platform, and the application that uses it.
pub(crate) struct World {
    pub sandbox: Sandbox,
    pub receipts: Receipts,
    pub client: Client,
    pub flows: ParkedFlows<MemoryStore>,
    pub tokens: SharedTokens<MemoryStore>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let sandbox = Sandbox::start().await.expect("a sandbox");
        let contract = serde_json::to_value(&sandbox.contracts().import).expect("JSON");
        let client = client_of(&sandbox).build().expect("a client");
        let store = MemoryStore::new();
        Self {
            receipts: serde_json::from_value(contract).expect("a contract"),
            client,
            sandbox,
            flows: ParkedFlows::new(store.clone()),
            tokens: SharedTokens::new(store),
        }
    }

    /// Sends a customer to the page, and returns its address.
    pub(crate) async fn ask(&self, customer: &str) -> String {
        let flow = self.receipts.flow(&self.client);
        let awaiting = flow.authorize().await.expect("a page");
        let page = awaiting.url().to_string();
        let parked = awaiting.suspend().with(customer.to_owned());
        self.flows.park(parked).await.expect("it is parked");
        page
    }

    /// The callback of a person who consents.
    pub(crate) async fn consent(&self, page: &str) -> Callback {
        let called = self.sandbox.consent(page).await.expect("a callback");
        Callback::from_url(called).expect("a callback")
    }

    /// Takes a callback as a web application does.
    pub(crate) async fn receive(
        &self,
        callback: Callback,
    ) -> Result<(Flow<Receipts, Connected>, String), Error> {
        let user = |customer: &String| customer.clone();
        self.tokens
            .receive_callback(callback, &self.receipts, &self.client, user)
            .await
    }

    /// Connects a customer.
    pub(crate) async fn connect(&self, customer: &str) -> Flow<Receipts, Connected> {
        let page = self.ask(customer).await;
        let callback = self.consent(&page).await;
        let (connected, named) = self.receive(callback).await.expect("a connection");
        assert_eq!(named, customer);
        connected
    }

    /// The connection of a customer, as another machine finds it.
    pub(crate) async fn find(&self, customer: &str) -> Option<Flow<Receipts, Connected>> {
        let found = self.tokens.find(customer, &self.receipts, &self.client);
        found.await.expect("the store works")
    }

    pub(crate) fn assert_no_violations(&self) {
        assert_eq!(self.sandbox.violations(), Vec::<String>::new());
    }
}

/// A client that tries again at once.
pub(crate) fn client_of(sandbox: &Sandbox) -> ClientBuilder {
    let pages = OnboardingUrl::new(sandbox.onboarding_url()).expect("an address");
    digime_import::client()
        .base_url(sandbox.import_base_url())
        .extension(pages)
        .max_retries(2)
        .retry_delays(Duration::from_millis(1), Duration::from_millis(2))
}

pub(crate) fn receipt() -> PostboxItem {
    PostboxItem::bytes("receipt.txt", "1 coffee")
        .account("customer-42")
        .reference("receipt-7")
        .tag("receipt")
}
