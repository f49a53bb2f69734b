//! The user's library: accounts, and what an application can learn and delete.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::bodies::agent_and_options;
use super::oauth::unknown_account;
use super::{Platform, claims, header};
use crate::keys;
use crate::platform::users::Account;
use crate::refusal::Refusal;

impl Platform {
    /// `GET permission-access/accounts`
    pub(crate) fn accounts(
        &mut self,
        headers: &HeaderMap,
        no_body: Result<(), Refusal>,
    ) -> Result<Value, Refusal> {
        let of_user = self.verify_user(headers)?;
        no_body?;
        let user = self.users.get(&of_user.user_id);
        let accounts = user.into_iter().flat_map(|user| &user.accounts);
        Ok(accounts.map(describe).collect())
    }

    /// `DELETE permission-access/service/h:accountId`
    pub(crate) fn delete_account(
        &mut self,
        headers: &HeaderMap,
        no_body: Result<(), Refusal>,
    ) -> Result<Value, Refusal> {
        let of_user = self.verify_user(headers)?;
        no_body?;
        let account_id = header(headers, "accountId")?;
        let user = self.users.get_mut(&of_user.user_id);
        if user.is_some_and(|user| user.delete_account(account_id)) {
            Ok(json!({}))
        } else {
            Err(unknown_account())
        }
    }

    /// `DELETE user`
    pub(crate) fn delete_user(
        &mut self,
        headers: &HeaderMap,
        no_body: Result<(), Refusal>,
    ) -> Result<Value, Refusal> {
        let of_user = self.verify_user(headers)?;
        no_body?;
        let user_id = &of_user.user_id;
        self.grants.forget_user(user_id);
        self.invitations.forget_user(user_id);
        self.users.delete(user_id);
        self.inbox.delete_items_of(user_id);
        Ok(json!({}))
    }

    /// `GET permission-access/contract`
    pub(crate) fn contract(
        &mut self,
        headers: &HeaderMap,
        no_body: Result<(), Refusal>,
    ) -> Result<Value, Refusal> {
        let contract = self.verify_import(headers, &claims::BASE)?.contract;
        no_body?;
        Ok(json!({
            "id": contract.contract_id,
            "accessType": "w",
            "application": {
                "id": contract.application_id,
                "name": contract.application_name,
                "resources": {},
                "status": 1,
            },
            "certificate": keys::public_pem(&contract.public_key),
            "certificateContractSchemaVersion": "1",
            // The end of the year 2099: no contract of a sandbox expires.
            "expirationDate": 4_102_444_799_000_u64,
            "name": contract.name,
            "partnerId": contract.application_id,
            "type": "import",
        }))
    }

    /// `POST permission-access/trigger`
    pub(crate) fn trigger(
        &mut self,
        headers: &HeaderMap,
        body: Result<Value, Refusal>,
    ) -> Result<Value, Refusal> {
        self.verify_user(headers)?;
        agent_and_options(&body?)?;
        Ok(json!({"session": self.session()}))
    }
}

fn describe(account: &Account) -> Value {
    let service = account.service;
    let mut described = json!({
        "id": account.id,
        "reference": account.reference,
        "type": if account.takes_pushes { "PUSH" } else { "USER" },
        "createdDate": account.since,
        "updatedDate": account.since,
        "serviceGroupId": 1,
        "serviceGroupName": "Sandbox",
        "serviceTypeId": service,
        "serviceTypeName": format!("Sandbox service {service}"),
        "serviceTypeReference": format!("sandbox-service-{service}"),
        "sourceId": service,
        "username": "sandbox-user",
    });
    if account.is_sample {
        described["sample"] = true.into();
    }
    described
}
