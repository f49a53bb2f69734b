//! Redis with TLS, and a Redis Cluster.

use std::process::Output;

use digime::Error;
use digime::store::{FlowStore, RedisStore, TokenRecord, TokenStore, conformance};
use serde_json::json;
use tokio::process::Command;

use crate::set_up::{printed, redis, redis_cluster, redis_tls, sandbox, start_as, user};

/// Runs the suite of a store in a process that trusts the certificates in a file.
async fn conform_trusting(certificates: &str, url: &str) -> Output {
    let (_sandbox, place) = sandbox().await;
    let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"));
    worker.env("SSL_CERT_FILE", certificates);
    let worker = start_as(worker, &place, url, json!("Conform")).await;
    worker.wait_with_output().await.expect("it ends")
}

#[tokio::test]
async fn a_store_behind_tls_conforms_if_its_certificate_is_trusted() {
    let Some(shared) = redis_tls() else {
        return;
    };
    let authority = std::env::var("DIGIME_TEST_REDIS_AUTHORITY").expect("its certificate");
    printed(&conform_trusting(&authority, &shared.url).await);

    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md");
    let refused = conform_trusting(other, &shared.url).await;
    assert!(
        !refused.status.success(),
        "nobody vouches for the certificate"
    );
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_trusted_is_not_used() {
    let Some(shared) = redis_tls() else {
        return;
    };
    let error = RedisStore::connect(&shared.url).await.map(drop);
    let report = Error::from(error.unwrap_err()).report().to_string();
    assert!(report.to_lowercase().contains("certificate"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_documented_rights_can_use_the_store() {
    let Some(shared) = redis() else {
        return;
    };
    let page = include_str!("../../../docs/databases.md");
    let (_, command) = page.split_once("```text\nACL ").expect("the command");
    let (command, _) = command.split_once("```").expect("its end");
    let client = redis::Client::open(&*shared.url).expect("a URL");
    let mut admin = client
        .get_multiplexed_async_connection()
        .await
        .expect("Redis");
    let mut make = redis::cmd("ACL");
    make.arg(command.split_whitespace().collect::<Vec<_>>());
    make.exec_async(&mut admin).await.expect("a user");

    let url = shared.url.replace("//", "//shop:choose-one@");
    let store = RedisStore::connect(&url).await.expect("Redis");
    conformance::flow_store(&store).await;
    conformance::token_store(&store).await;
    let elsewhere = store.prefix("other:").peek("key").await;
    let report = Error::from(elsewhere.unwrap_err()).report().to_string();
    assert!(
        report.contains("NOPERM") || report.contains("permission"),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_conforms() {
    let Some(shared) = redis_cluster() else {
        return;
    };
    let nodes: Vec<&str> = shared.url.split(' ').collect();
    let store = RedisStore::connect_cluster(&nodes)
        .await
        .expect("a Cluster");
    conformance::flow_store(&store).await;
    conformance::token_store(&store).await;
    // Keys of the prefixes are on several nodes, as each is on one.
    for tenant in ["a:", "b:", "c:", "{d}:", "e:{}"] {
        let store = store.clone().prefix(tenant);
        conformance::token_store(&store).await;
    }
}

#[tokio::test]
async fn any_node_leads_to_the_whole_cluster() {
    let Some(shared) = redis_cluster() else {
        return;
    };
    let (user, tokens) = (
        user(),
        TokenRecord {
            version: "1".into(),
            record: "the record".into(),
        },
    );
    for node in shared.url.split(' ') {
        let store = RedisStore::connect_cluster([node]).await.expect("a node");
        // It is saved through the first.
        let saved = store.replace(&user, None, &tokens).await;
        assert!(saved.expect("it works"));
        assert_eq!(
            store.load(&user).await.expect("it works"),
            Some(tokens.clone())
        );
        assert_eq!(store.peek(&user).await.expect("it works"), None);
    }
}
