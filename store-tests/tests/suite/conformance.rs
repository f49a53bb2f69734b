//! Each store does what its traits say.

use digime::store::{MemoryStore, conformance};
use digime_store_tests::with_store;

use crate::set_up::on_each_store;

#[tokio::test]
async fn the_store_in_memory_conforms() {
    conformance::flow_store(&MemoryStore::new()).await;
    conformance::token_store(&MemoryStore::new()).await;
}

on_each_store! {
    it_keeps_flows
    it_keeps_tokens
    it_is_made_by_many_at_once
}

async fn it_keeps_flows(url: &str) {
    with_store!(url, store => conformance::flow_store(&store).await);
}

async fn it_keeps_tokens(url: &str) {
    with_store!(url, store => conformance::token_store(&store).await);
}

async fn it_is_made_by_many_at_once(url: &str) {
    let opening = (0..8).map(|_| {
        let url = url.to_owned();
        tokio::spawn(async move { with_store!(&url, _store => ()) })
    });
    for opened in opening {
        opened.await.expect("it opens");
    }
}
