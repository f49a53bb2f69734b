//! Pushes: into the library, and through it to a provider.

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::oauth::unknown_account;
use super::{OfUser, Platform, check_content_type, file_descriptor, header};
use crate::content::Arrived;
use crate::platform::{ProviderPush, Received};
use crate::refusal::Refusal;

impl Platform {
    /// `POST permission-access/import`, before the body is read. The item has no content yet.
    pub(crate) fn accept_import(&mut self, headers: &HeaderMap) -> Result<Received, Refusal> {
        let of_user = self.verify_user(headers)?;
        check_content_type(headers, "application/octet-stream")?;
        let metadata = file_descriptor::read(headers, &of_user.request.contract)?;
        Ok(item(&of_user, metadata, None))
    }

    /// `POST permission-access/import/h:accountId/{standard}/{version}`, before the body is read.
    pub(crate) fn accept_push_to_provider(
        &mut self,
        headers: &HeaderMap,
        standard: String,
        version: String,
    ) -> Result<Received, Refusal> {
        let of_user = self.verify_user(headers)?;
        if standard != "fhir" || !["stu3", "3.0.2"].contains(&&*version) {
            let why = "the standard is not `fhir` with the version `stu3` or `3.0.2`";
            return Err(Refusal::request(why));
        }
        check_content_type(headers, "application/json")?;
        let account_id = header(headers, "accountId")?;
        self.check_receiver(&of_user, account_id)?;
        let provider = ProviderPush {
            account_id: account_id.to_owned(),
            standard,
            version,
        };
        let descriptor = json!({"mimeType": "application/json"});
        Ok(item(&of_user, descriptor, Some(provider)))
    }

    fn check_receiver(&self, of_user: &OfUser, account_id: &str) -> Result<(), Refusal> {
        let not_allowed = |why: &str| Refusal::new(StatusCode::FORBIDDEN, "InsufficientScope", why);
        let user = self.users.get(&of_user.user_id);
        let (user, account) = user
            .and_then(|user| Some((user, user.account(account_id)?)))
            .ok_or_else(unknown_account)?;
        if !user.lets_push(&of_user.grant.contract_id) {
            return Err(not_allowed(
                "the consent was not made with `sourceType=push`",
            ));
        }
        if !account.takes_pushes {
            return Err(not_allowed(
                "the account was not added with `sourceType=push`",
            ));
        }
        Ok(())
    }

    /// Both pushes, after the body was read.
    pub(crate) fn finish_import(
        &mut self,
        item: Received,
        arrived: Arrived,
    ) -> Result<Value, Refusal> {
        let user_id = item.user_id.as_deref().unwrap_or_default();
        if self.users.get(user_id).is_none() {
            let why = "the user was deleted while the file arrived";
            return Err(Refusal::token(why));
        }
        let item = Received {
            size: arrived.size,
            sha256: arrived.sha256,
            arrived: self.now(),
            ..item
        };
        self.inbox.add(item, arrived.content);
        Ok(json!({}))
    }
}

/// An item whose content has not arrived.
fn item(of_user: &OfUser, descriptor: Value, provider: Option<ProviderPush>) -> Received {
    Received {
        id: 0,
        application_id: of_user.request.contract.application_id.clone(),
        contract_id: of_user.request.contract.contract_id.clone(),
        postbox_id: String::new(),
        name: String::new(),
        size: 0,
        sha256: String::new(),
        descriptor,
        arrived: 0,
        user_id: Some(of_user.user_id.clone()),
        provider,
    }
}
