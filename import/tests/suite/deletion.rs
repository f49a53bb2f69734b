//! The end of a connection, whatever happens in between.

use digime::Error;
use digime_import::{ConnectionEnd, ImportFlow, end_connection};
use digime_sandbox::{Endpoint, Fault};

use crate::set_up::{World, receipt};

async fn end(world: &World) -> Result<ConnectionEnd, Error> {
    end_connection(&world.tokens, "customer-42", &world.receipts, &world.client).await
}

#[tokio::test]
async fn a_connection_ends_at_the_platform_and_then_here() {
    let world = World::new().await;
    let connected = world.connect("customer-42").await;
    world.sandbox.expire_access_tokens();
    assert_eq!(end(&world).await.expect("an end"), ConnectionEnd::Deleted);
    assert!(world.find("customer-42").await.is_none());
    assert_eq!(
        end(&world).await.expect("an end"),
        ConnectionEnd::NotConnected
    );
    let error = connected
        .push(receipt())
        .await
        .expect_err("the person is gone");
    assert!(error.needs_consent(), "{error}");
}

#[tokio::test]
async fn nothing_is_pushed_and_nothing_is_forgotten_while_the_platform_is_away() {
    let world = World::new().await;
    world.connect("customer-42").await;
    for _ in 0..3 {
        world
            .sandbox
            .inject(Endpoint::DeleteUser, Fault::Status(503));
    }
    let error = end(&world).await.expect_err("the platform is away");
    assert!(error.is_transient(), "{error}");
    let found = world.find("customer-42").await.expect("it is noted");
    let error = found.push(receipt()).await.expect_err("it is ending");
    assert!(matches!(error, Error::ConsentEnded { .. }), "{error}");
    assert!(world.sandbox.inbox().is_empty());
    assert_eq!(end(&world).await.expect("an end"), ConnectionEnd::Deleted);
    assert!(world.find("customer-42").await.is_none());
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_finished_by_the_next_call() {
    let world = World::new().await;
    world.connect("customer-42").await;
    for _ in 0..3 {
        world
            .sandbox
            .inject(Endpoint::DeleteUser, Fault::LoseAnswer);
    }
    let error = end(&world).await.expect_err("no answer comes");
    assert!(error.may_have_taken_effect(), "{error}");
    assert!(world.find("customer-42").await.is_some(), "it is noted");
    assert_eq!(end(&world).await.expect("an end"), ConnectionEnd::WasOver);
    assert!(world.find("customer-42").await.is_none());
}

#[tokio::test]
async fn a_second_attempt_that_finds_nobody_shows_that_the_first_has_deleted() {
    let world = World::new().await;
    world.connect("customer-42").await;
    world
        .sandbox
        .inject(Endpoint::DeleteUser, Fault::LoseAnswer);
    assert_eq!(end(&world).await.expect("an end"), ConnectionEnd::Deleted);
    assert!(world.find("customer-42").await.is_none());
}

#[tokio::test]
async fn a_lapsed_connection_ends_here() {
    let world = World::new().await;
    world.connect("customer-42").await;
    world.sandbox.end_consent();
    assert_eq!(end(&world).await.expect("an end"), ConnectionEnd::WasOver);
    assert!(world.find("customer-42").await.is_none());
}
