//! The platform's side of API 1.7.

use std::time::Duration;

use digime::url::form_urlencoded::Serializer;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::application::name;
use super::platform::{Answer, Issued, Platform, Pushed, Request, claims, text};
use super::weather::{Endpoint, pick};

/// The first number of those who consent in place of a user.
pub(super) const STRANGERS: usize = 1000;

/// What the platform says of whom tokens belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ids {
    None,
    /// The person alone.
    Person,
    /// A renewed consent has another id.
    OfEachConsent,
    /// A renewed consent has the same id.
    OfAllConsents,
}

/// What the platform grants. Each run has its own.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// How long a flow waits for its person, which is the library's own decision.
    pub session_life: Duration,
    pub token_life: Duration,
    consent_life: Duration,
    /// Whether the renewal of a consent ends the tokens of the earlier one.
    pub renewal_ends_earlier: bool,
    ids: Ids,
}

impl Terms {
    pub(super) fn any(rng: &mut StdRng) -> Self {
        let ids = [
            Ids::None,
            Ids::Person,
            Ids::OfEachConsent,
            Ids::OfAllConsents,
        ];
        Self {
            session_life: Duration::from_hours(24),
            token_life: Duration::from_secs(pick(rng, &[20, 60, 300, 3600])),
            consent_life: Duration::from_secs(pick(rng, &[120, 3600, 86_400, 30 * 86_400])),
            renewal_ends_earlier: rng.random_bool(0.5),
            ids: pick(rng, &ids),
        }
    }

    /// When a consent ends that is given now.
    pub(super) fn consent_ends(&self, now: u64) -> u64 {
        now + super::platform::millis(self.consent_life)
    }

    pub(super) fn says_who_consented(&self) -> bool {
        self.ids != Ids::None
    }

    pub(super) fn tokens(&self, issued: &Issued) -> Value {
        let mut tokens = json!({
            "access_token": {"value": issued.access_token, "expires_on": issued.expires_on},
            "refresh_token": {"value": issued.refresh_token, "expires_on": issued.ends_on},
        });
        if self.ids != Ids::None {
            tokens["sub"] = person(issued.user).into();
        }
        match self.ids {
            Ids::None | Ids::Person => {}
            Ids::OfEachConsent => tokens["consentid"] = format!("consent-{}", issued.grant).into(),
            Ids::OfAllConsents => {
                tokens["consentid"] = format!("consent-of-{}", issued.user).into();
            }
        }
        tokens
    }
}

/// The platform's id of a user.
pub(super) fn person(user: usize) -> String {
    format!("person-{user}")
}

pub(super) fn names_redirect_uri(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Authorize | Endpoint::Renewal)
}

/// The platform's answer to a request that is this flow's own.
pub(super) fn act(
    platform: &mut Platform,
    endpoint: Endpoint,
    claims: &Value,
    words: &str,
    now: u64,
    is_forged: bool,
) -> Answer {
    if endpoint == Endpoint::Authorize {
        let code = platform.announce(claims, None);
        return authorized(platform, &json!({"preauthorization_code": code}), is_forged);
    }
    let token = platform.access_tokens.get(&text(claims, "access_token"));
    let Some((grant, has_expired)) = token.map(|it| (it.grant, it.has_expired(now))) else {
        return expired(words);
    };
    if platform.grants[grant].is_deleted {
        return expired(words);
    }
    if endpoint == Endpoint::Renewal {
        // An expired token is enough.
        let code = platform.announce(claims, Some(grant));
        return authorized(platform, &json!({"reference_code": code}), is_forged);
    }
    if has_expired {
        return expired(words);
    }
    platform.delete(platform.grants[grant].user);
    Answer::ok(&json!({}))
}

/// The answer with a code for a page.
fn authorized(platform: &mut Platform, code: &Value, is_forged: bool) -> Answer {
    let key = platform.secret("ses");
    let signed = platform.signed(code, is_forged);
    let mut body: Value = serde_json::from_str(&signed.body).expect("JSON");
    body["session"] = json!({"key": key, "expiry": 4_000_000_000_000_u64});
    Answer::ok(&body)
}

impl Platform {
    /// Deletes what a person has at the platform.
    fn delete(&mut self, user: usize) {
        for grant in self.grants.iter_mut().filter(|grant| grant.user == user) {
            grant.is_deleted = true;
        }
        self.expire_access_tokens(user);
    }

    /// Ends a user's consents before the time that was said.
    pub(super) fn lapse(&mut self, user: usize) {
        for grant in self.grants.iter_mut().filter(|grant| grant.user == user) {
            grant.ends = 0;
        }
        self.expire_access_tokens(user);
    }
}

/// A push needs no session.
pub(super) fn refuse_session(_: &Platform, _: &Value, _: &str, _: u64) -> Option<Answer> {
    None
}

/// The item in a request, as it is described.
pub(super) fn pushed(request: &Request) -> Pushed {
    let descriptor = &claims(&request.descriptor)["metadata"];
    let size = descriptor["tags"][0]
        .as_str()
        .and_then(|it| it.parse().ok());
    let first = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Pushed {
        name: first(&descriptor["reference"][0]),
        to: first(&descriptor["accounts"][0]["accountId"]),
        is_whole: size == Some(request.body.len()) && request.body.iter().all(|byte| *byte == 7),
    }
}

/// Where a user's items go: the account that is named.
pub(super) fn destination(user: usize) -> String {
    name(user)
}

/// The answer to a request whose access token has expired.
pub(super) fn expired(words: &str) -> Answer {
    Answer::refused(401, "InvalidToken", words)
}

/// The query of the callback of a person who has consented.
pub(super) fn consented(user: usize, code: &str, state: &str) -> String {
    Serializer::new(String::new())
        .append_pair("success", "true")
        .append_pair("state", state)
        .append_pair("code", code)
        .append_pair("accountReference", &format!("account-{user}"))
        .finish()
}

/// The query of the callback of a person who has declined.
pub(super) fn declined(state: &str) -> String {
    format!("success=false&errorCode=Cancelled&state={state}")
}
