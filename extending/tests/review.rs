//! Reviews, against the sandbox.

use std::error::Error as StdError;
use std::time::Duration;

use digime::error::{StoreError, SuspendedError};
use digime::store::{MemoryStore, ParkedFlows};
use digime::{
    ApplicationId, Authorized, Callback, Client, ContractId, Error, Flow, PostboxItem, PrivateKey,
    RedirectUri, SealingKeys, Suspended, digime_contract,
};
use digime_extending::review::{Review, ReviewError, UnderReview};
use digime_sandbox::Sandbox;

#[digime_contract(ongoing)]
#[derive(serde::Deserialize)]
struct Receipts {
    application_id: ApplicationId,
    contract_id: ContractId,
    private_key: PrivateKey,
    redirect_uri: RedirectUri,
}

type Outcome = Result<(), Box<dyn StdError>>;

/// A sandbox, a client of it, and an ongoing contract.
async fn set_up() -> Result<(Sandbox, Client, Receipts), Box<dyn StdError>> {
    let sandbox = Sandbox::start().await?;
    let client = Client::builder().base_url(sandbox.base_url()).build()?;
    let contract = serde_json::to_value(&sandbox.contracts().ongoing)?;
    let receipts = serde_json::from_value(contract)?;
    Ok((sandbox, client, receipts))
}

async fn authorized(
    sandbox: &Sandbox,
    client: &Client,
    receipts: &Receipts,
) -> Result<Flow<Receipts, Authorized>, Box<dyn StdError>> {
    let flow = receipts.flow(client);
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    let called = sandbox.consent(awaiting.url()).await?;
    Ok(awaiting.exchange_code(Callback::from_url(called)?).await?)
}

#[tokio::test]
async fn an_approved_flow_pushes() -> Outcome {
    let (sandbox, client, receipts) = set_up().await?;
    let under_review = authorized(&sandbox, &client, &receipts)
        .await?
        .submit("march".to_owned());
    assert_eq!(under_review.as_state().title(), "march");
    let approved = under_review.approve("Ada".to_owned()).await?;
    assert_eq!(approved.as_state().approved_by(), "Ada");
    let _ = approved
        .push(PostboxItem::bytes("march.txt", "1 coffee"))
        .await?;
    assert_eq!(sandbox.inbox().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_review_that_nobody_signs_gives_the_flow_back() -> Outcome {
    let (sandbox, client, receipts) = set_up().await?;
    let under_review = authorized(&sandbox, &client, &receipts)
        .await?
        .submit("march".to_owned());
    let rejected = under_review
        .approve(String::new())
        .await
        .expect_err("nobody signed");
    assert_eq!(
        rejected.error().as_extension(),
        Some(&ReviewError::Unsigned)
    );
    assert_eq!(
        rejected.to_string(),
        "nobody has signed for the review: pass the reviewer's name"
    );
    assert!(!rejected.error().may_have_taken_effect());
    let approved = rejected.into_flow().approve("Ada".to_owned()).await?;
    assert_eq!(approved.as_state().approved_by(), "Ada");
    Ok(())
}

#[tokio::test]
async fn a_flow_under_review_is_sealed_and_resumed_by_another_process() -> Outcome {
    let (sandbox, client, receipts) = set_up().await?;
    let under_review = authorized(&sandbox, &client, &receipts)
        .await?
        .submit("march".to_owned());
    let keys = SealingKeys::new("2026-11", [7; 32]);
    let cookie = under_review
        .suspend()
        .with(7)
        .seal(&keys, Duration::from_secs(60))?;

    let other = Client::builder().base_url(sandbox.base_url()).build()?;
    let suspended = Suspended::<Receipts, UnderReview<Receipts>, i32>::unseal(&cookie, &keys)?;
    let (suspended, attached) = suspended.into_parts();
    assert_eq!(attached, 7);
    let under_review = suspended.resume(&receipts, &other)?;
    assert_eq!(under_review.as_state().title(), "march");
    let approved = under_review.approve("Ada".to_owned()).await?;
    let _ = approved
        .push(PostboxItem::bytes("march.txt", "1 coffee"))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_flow_under_review_is_parked_and_claimed_once() -> Outcome {
    let (sandbox, client, receipts) = set_up().await?;
    let flows = ParkedFlows::new(MemoryStore::new());
    let under_review = authorized(&sandbox, &client, &receipts)
        .await?
        .submit("march".to_owned());
    flows.park(under_review.suspend().with("Ada")).await?;

    let claim = async || -> Result<(Flow<Receipts, UnderReview<Receipts>>, String), Error> {
        flows.claim_by_key("march", &receipts, &client).await
    };
    let (under_review, reviewer) = claim().await?;
    let approved = under_review.approve(reviewer).await?;
    let _ = approved
        .push(PostboxItem::bytes("march.txt", "1 coffee"))
        .await?;
    let again = claim().await.expect_err("it is claimed");
    assert!(
        matches!(again, Error::Store(StoreError::NothingParked)),
        "{again}"
    );
    Ok(())
}

#[tokio::test]
async fn the_record_of_another_state_or_contract_is_not_a_flow_under_review() -> Outcome {
    let (sandbox, client, receipts) = set_up().await?;
    let authorized = authorized(&sandbox, &client, &receipts).await?;
    let as_review = Suspended::<Receipts, UnderReview<Receipts>>::from_json;
    let other_state = as_review(&authorized.suspend().to_json()?).expect_err("another state");
    assert!(
        matches!(other_state, SuspendedError::AnotherState { .. }),
        "{other_state}"
    );

    let record = authorized.submit("march".to_owned()).suspend().to_json()?;
    let later = record.replace(
        "\"digime_extending::UnderReview\"",
        "\"digime_extending::UnderReview@2\"",
    );
    let later = as_review(&later).expect_err("a later version of the record");
    assert!(
        matches!(later, SuspendedError::LaterRecord { version: 2, .. }),
        "{later}"
    );

    let inner = receipts.contract_id.as_str();
    let (head, state_data) = record.split_once("state_data").ok_or("a record")?;
    let forged = format!("{head}state_data{}", state_data.replace(inner, "another"));
    let forged = as_review(&forged)?
        .resume(&receipts, &client)
        .expect_err("a flow of another contract inside");
    assert!(
        matches!(
            forged,
            Error::Suspended(SuspendedError::AnotherContract { .. })
        ),
        "{forged}"
    );
    Ok(())
}
