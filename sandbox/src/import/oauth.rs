//! The endpoints of consent and tokens.

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::bodies::{agent_and_actions, object, only};
use super::{Platform, claims, user_of};
use crate::api::Api;
use crate::clock::end;
use crate::platform::grants::unknown_grant_type;
use crate::platform::invitations::{Invitation, Purpose, Reference, ReferenceKind};
use crate::random;
use crate::refusal::Refusal;
use crate::request_token::Request;

/// The answer to a request for consent.
pub(crate) struct Invited {
    /// For the platform token.
    pub claims: Value,
    pub session: Value,
}

impl Platform {
    /// `POST oauth/authorize`
    pub(crate) fn invite(
        &mut self,
        headers: &HeaderMap,
        body: Result<Value, Refusal>,
    ) -> Result<Invited, Refusal> {
        let request = self.verify_import(headers, &claims::AUTHORIZE)?;
        request.fixed("response_mode", "query")?;
        request.fixed("response_type", "code")?;
        let purpose = Purpose::Consent(request.challenge()?.to_owned());
        let user_id = self.linked_user(&request)?;
        let scope = agent_and_actions(&body?)?;
        let code = self.add_invitation(&request, purpose, user_id, scope)?;
        Ok(Invited {
            claims: json!({"preauthorization_code": code}),
            session: self.session(),
        })
    }

    /// The user to whose library a new consent is to be linked.
    fn linked_user(&self, request: &Request) -> Result<Option<String>, Refusal> {
        let Some(token) = request.optional("access_token")? else {
            return Ok(None);
        };
        let token = self
            .grants
            .access_token(token)
            .ok_or_else(|| Refusal::token("the access token is unknown"))?;
        self.check_expiry(token)?;
        Ok(Some(user_of(&token.grant)?.to_owned()))
    }

    /// `POST oauth/token/reference`: with a code challenge, to renew a consent whose access token may have expired; without
    /// one, to add a service.
    pub(crate) fn refer(
        &mut self,
        headers: &HeaderMap,
        body: Result<Value, Refusal>,
    ) -> Result<Invited, Refusal> {
        let request = self.verify_for(Api::Import, headers)?;
        let renews = request
            .names()
            .any(|name| name.starts_with("code_challenge"));
        let (claims, purpose) = if renews {
            let challenge = request.challenge()?.to_owned();
            (claims::REAUTHORIZE, Purpose::Renewal(challenge))
        } else {
            (claims::ADD_SERVICE, Purpose::Service)
        };
        claims.check(&request)?;
        let token = self.known_token(&request)?;
        if purpose == Purpose::Service {
            self.check_expiry(token)?;
        }
        let user_id = user_of(&token.grant)?.to_owned();
        let scope = agent_and_actions(&body?)?;
        let code = self.add_invitation(&request, purpose, Some(user_id), scope)?;
        Ok(Invited {
            claims: json!({"reference_code": code}),
            session: self.session(),
        })
    }

    fn add_invitation(
        &mut self,
        request: &Request,
        purpose: Purpose,
        user_id: Option<String>,
        scope: Value,
    ) -> Result<String, Refusal> {
        let invitation = Invitation {
            contract_id: request.contract.contract_id.clone(),
            purpose,
            user_id,
            redirect_uri: request.redirect_uri()?.to_owned(),
            state: request.optional("state")?.map(ToOwned::to_owned),
            scope,
            used: false,
            expiry: end(self.now(), self.session_lifetime),
        };
        let code = random::key();
        self.invitations.by_code.insert(code.clone(), invitation);
        Ok(code)
    }

    /// `POST oauth/token`
    pub(crate) fn import_token(
        &mut self,
        headers: &HeaderMap,
        no_body: Result<(), Refusal>,
    ) -> Result<Value, Refusal> {
        let request = self.verify_for(Api::Import, headers)?;
        no_body?;
        let issued = match request.claim("grant_type")? {
            "authorization_code" => {
                claims::EXCHANGE.check(&request)?;
                self.grants.exchange(&request, None)
            }
            "refresh_token" => {
                claims::REFRESH.check(&request)?;
                let refusal = "The token (refresh_token) is expired/invalid";
                self.grants.refresh(&request, refusal)
            }
            _ => Err(unknown_grant_type()),
        }?;
        let token = |value, expiry| json!({"value": value, "expires_on": expiry / 1000});
        Ok(json!({
            "access_token": token(issued.access_token, issued.access_expiry),
            "refresh_token": token(issued.refresh_token, issued.refresh_expiry),
            "sub": user_of(&issued.grant)?,
            "consentid": issued.grant.consent_id,
        }))
    }

    /// `POST reference`
    pub(crate) fn hide_behind_reference(
        &mut self,
        headers: &HeaderMap,
        body: Result<Value, Refusal>,
    ) -> Result<Value, Refusal> {
        let request = self.verify_import(headers, &claims::BASE)?;
        let body = body?;
        only(object(&body, "the body")?, "the body", &["type", "value"])?;
        let value = body["value"].as_str().filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| Refusal::request("the body has no `value`"))?;
        let kind = match body["type"].as_str() {
            Some("cloudId") => ReferenceKind::Storage,
            Some("accountId") if self.users.has_account(value) => ReferenceKind::Account,
            Some("accountId") => return Err(unknown_account()),
            _ => {
                let why = "`type` is neither `cloudId` nor `accountId`";
                return Err(Refusal::request(why));
            }
        };
        let reference = Reference {
            contract_id: request.contract.contract_id,
            kind,
            expiry: end(self.now(), self.session_lifetime),
        };
        let id = random::key();
        self.invitations.references.insert(id.clone(), reference);
        Ok(json!({"id": id}))
    }
}

/// The refusal of an account that is not the user's.
pub(super) fn unknown_account() -> Refusal {
    let why = "the user has no account with this id";
    Refusal::new(StatusCode::NOT_FOUND, "InvalidAccount", why)
}
