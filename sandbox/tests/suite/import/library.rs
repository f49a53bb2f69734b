//! Accounts, the contract, and deletion.

use reqwest::Method;
use serde_json::json;

use super::app::{App, agent};

#[tokio::test]
async fn accounts_are_listed_and_deleted() {
    let app = App::new().await;
    let query = "&sourceType=pull&service=3&sampleDataSet=s";
    let access = app.connect_with(query).await.access;
    let accounts = app.accounts(&access).await.json;
    let account = &accounts[0];
    for name in [
        "id",
        "reference",
        "serviceGroupName",
        "serviceTypeName",
        "serviceTypeReference",
    ] {
        assert!(account[name].is_string(), "{name}");
    }
    for name in [
        "createdDate",
        "updatedDate",
        "serviceGroupId",
        "serviceTypeId",
        "sourceId",
    ] {
        assert!(account[name].is_u64(), "{name}");
    }
    assert_eq!(
        (&account["type"], &account["sample"]),
        (&json!("USER"), &json!(true))
    );
    let delete = async |account_id: &str| {
        let path = "permission-access/service/h:accountId";
        let call = app.call(Method::DELETE, path, json!({"access_token": access}));
        let answer = call.header("accountId", account_id).send().await;
        (answer.status, answer.code().to_owned())
    };
    assert_eq!(delete("unknown").await, (404, "InvalidAccount".into()));
    let account_id = account["id"].as_str().expect("an id");
    assert_eq!(delete(account_id).await, (200, String::new()));
    assert_eq!(delete(account_id).await, (404, "InvalidAccount".into()));
    assert_eq!(app.accounts(&access).await.json, json!([]));
}

#[tokio::test]
async fn an_application_can_read_its_contract() {
    let app = App::new().await;
    let call = app.call(Method::GET, "permission-access/contract", json!({}));
    let contract = call.send().await.json;
    assert_eq!(contract["id"], app.raw.contract.contract_id);
    assert_eq!(contract["accessType"], "w");
    let certificate = contract["certificate"].as_str().expect("PEM");
    assert!(certificate.starts_with("-----BEGIN RSA PUBLIC KEY-----"));
}

#[tokio::test]
async fn a_user_is_deleted_with_everything_and_others_stay() {
    let app = App::new().await;
    let (gone, other) = (app.connect().await, app.connect().await);
    let waiting = app.reauth_link(&gone.access).await;
    app.import(&gone.access, b"a").send().await;
    app.import(&other.access, b"b").send().await;
    let (_, before) = app.raw.page("/inbox/version").await;
    let claims = json!({"access_token": gone.access});
    let delete = || app.call(Method::DELETE, "user", claims.clone()).send();
    assert_eq!(delete().await.status, 200);
    let again = delete().await;
    assert_eq!((again.status, again.code()), (401, "InvalidToken"));
    app.sandbox().consent(&waiting).await.expect_err("its code");
    let left = app.sandbox().inbox();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].user_id, Some(other.user_id));
    assert_eq!(app.raw.consent_ids().await.len(), 1);
    assert_ne!(app.raw.page("/inbox/version").await.1, before);
    assert_eq!(app.raw.page("/inbox/0/content").await.0, 404);
    assert_eq!(app.raw.page("/inbox/1/content").await.0, 200);
    assert_eq!(app.import(&other.access, b"c").send().await.status, 200);
    let reference = app.post("oauth/token/reference", app.reference_claims(&gone.access));
    let reference = reference.json(&json!({"agent": agent()})).send().await;
    assert_eq!(reference.code(), "InvalidToken");
}
