//! The onboarding app: the page of digi.me in the user's browser, to which an application's link leads.

mod parameters;

use url::Url;

use crate::bad_link::BadLink;
use crate::contract::Contract;
use crate::platform::Platform;
use crate::platform::grant::{Grant, Place};
use crate::platform::invitations::{Invitation, Purpose, ReferenceKind};
use crate::platform::users::Account;
use crate::random;
use crate::reply::{Decision, Reply};

use parameters::Parameters;

/// What the paths of the onboarding app begin with.
pub(crate) const PATH: &str = "/apps/saas/";

/// The `errorCode` of a user who declined.
const DECLINED: &str = "USER_CANCEL";

/// The `errorCode` of an onboarding app that failed.
const FAILED: &str = "ONBOARD_ERROR";

/// A page of the onboarding app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// A first consent.
    Authorize,
    /// A consent again, after the refresh token has lapsed.
    UserReauth,
    /// A further service.
    Onboard,
    /// An account that has to be authorized again.
    Reauthorize,
}

impl Page {
    pub(crate) const ALL: [Self; 4] = [
        Self::Authorize,
        Self::UserReauth,
        Self::Onboard,
        Self::Reauthorize,
    ];

    /// Its path after [`PATH`].
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::UserReauth => "user-reauth",
            Self::Onboard => "onboard",
            Self::Reauthorize => "reauthorize",
        }
    }

    /// Whether an invitation for this purpose is answered here.
    fn is_for(self, purpose: &Purpose) -> bool {
        match self {
            Self::Authorize => matches!(purpose, Purpose::Consent(_)),
            Self::UserReauth => matches!(purpose, Purpose::Renewal(_)),
            Self::Onboard | Self::Reauthorize => *purpose == Purpose::Service,
        }
    }
}

/// A link to the onboarding app.
pub(crate) struct Link {
    pub page: Page,
    parameters: Parameters,
}

/// What the user is asked, after a link was checked.
pub(crate) struct Asked {
    pub contract: Contract,
    pub invitation: Invitation,
    pub callback_url: Url,
}

impl Link {
    /// Reads an address of the onboarding app at an origin.
    pub(crate) fn read(link: &Url, origin: &str) -> Result<Self, BadLink> {
        if link.origin().ascii_serialization() != origin {
            let why = format!("it is not an address of this sandbox, which is at `{origin}`");
            return Err(BadLink::new(why));
        }
        let name = link.path().strip_prefix(PATH);
        let page = Page::ALL.into_iter().find(|page| Some(page.name()) == name);
        let page =
            page.ok_or_else(|| BadLink::new("it is not the address of a page that asks the user"))?;
        Self::of(page, link.query().unwrap_or_default())
    }

    /// Reads the query of a page.
    pub(crate) fn of(page: Page, query: &str) -> Result<Self, BadLink> {
        let parameters = Parameters::read(page, query)?;
        Ok(Self { page, parameters })
    }

    /// Whether the application has asked that nothing is shown, which it may with sample data.
    pub(crate) fn skips_the_page(&self) -> bool {
        self.parameters.has("sampleDataAutoOnboard")
    }

    /// Checks the link with the platform, before the user is shown anything.
    pub(crate) fn check(&self, platform: &Platform) -> Result<Asked, BadLink> {
        let invitation = platform.invitations.by_code.get(self.parameters.code());
        let invitation = invitation.ok_or_else(|| BadLink::new("its `code` is unknown"))?;
        if !self.page.is_for(&invitation.purpose) {
            let why = format!("its `code` is not for `{}`", self.page.name());
            return Err(BadLink::new(why));
        }
        if invitation.used {
            return Err(BadLink::new("its `code` was used before"));
        }
        if invitation.expiry <= platform.now() {
            return Err(BadLink::new(
                "its `code` has expired: the application has to make a new link",
            ));
        }
        self.check_reference("storageRef", ReferenceKind::Storage, invitation, platform)?;
        self.check_reference("accountRef", ReferenceKind::Account, invitation, platform)?;
        let contract = platform.contracts.by_contract_id(&invitation.contract_id);
        let contract = contract.ok_or_else(|| BadLink::new("its contract is unknown"))?;
        let callback_url = Url::parse(&invitation.redirect_uri);
        Ok(Asked {
            contract: contract.clone(),
            invitation: invitation.clone(),
            callback_url: callback_url.map_err(|_| BadLink::new("its callback is not a URL"))?,
        })
    }

    /// Checks a parameter whose value comes from `POST reference`.
    fn check_reference(
        &self,
        name: &'static str,
        kind: ReferenceKind,
        invitation: &Invitation,
        platform: &Platform,
    ) -> Result<(), BadLink> {
        let Some(id) = self.parameters.get(name) else {
            return Ok(());
        };
        let reference = platform.invitations.references.get(id);
        let is_good = reference.is_some_and(|reference| {
            reference.kind == kind
                && reference.contract_id == invitation.contract_id
                && reference.expiry > platform.now()
        });
        if is_good {
            Ok(())
        } else {
            let why = format!("its `{name}` is no reference of the contract, or it has expired");
            Err(BadLink::new(why))
        }
    }

    /// Answers as the user does, and returns the URL that is called back.
    pub(crate) fn answer(&self, platform: &mut Platform, reply: &Reply) -> Result<Url, BadLink> {
        let asked = self.check(platform)?;
        let failure = match reply.decision {
            Decision::Approve => return self.approve(platform, &asked, reply),
            Decision::Cancel => DECLINED,
            Decision::Error => FAILED,
        };
        let state = asked.invitation.state.filter(|_| !reply.without_state);
        let mut callback = asked.callback_url;
        callback
            .query_pairs_mut()
            .append_pair("success", "false")
            .append_pair("errorCode", failure)
            .extend_pairs(state.map(|state| ("state", state)));
        Ok(callback)
    }

    fn approve(
        &self,
        platform: &mut Platform,
        asked: &Asked,
        reply: &Reply,
    ) -> Result<Url, BadLink> {
        let invitation = &asked.invitation;
        let user_id = who_answers(invitation, reply)?;
        if let Some(invitation) = platform.invitations.by_code.get_mut(self.parameters.code()) {
            invitation.used = true;
        }
        let code = match &invitation.purpose {
            Purpose::Consent(challenge) | Purpose::Renewal(challenge) => {
                Some(consent(platform, invitation, &user_id, challenge))
            }
            Purpose::Service => None,
        };
        let account = self.add_account(platform, &user_id, &invitation.contract_id);
        let account = account.filter(|_| self.page == Page::Authorize);
        let mut callback = asked.callback_url.clone();
        callback
            .query_pairs_mut()
            .append_pair("success", "true")
            .extend_pairs(invitation.state.iter().map(|state| ("state", state)))
            .extend_pairs(code.map(|code| ("code", code)))
            .extend_pairs(account.map(|reference| ("accountReference", reference)));
        Ok(callback)
    }

    /// Adds the account of a page that adds one, and returns its reference.
    fn add_account(
        &self,
        platform: &mut Platform,
        user_id: &str,
        contract_id: &str,
    ) -> Option<String> {
        let takes_pushes = self.parameters.get("sourceType")? == "push";
        let service = self.parameters.get("service");
        let service = service.and_then(|service| service.parse().ok());
        let is_sample = self.parameters.has("sampleDataSet");
        let account = Account::new(service, takes_pushes, is_sample, platform.now());
        let reference = account.reference.clone();
        platform.users.get_mut(user_id)?.add(account, contract_id);
        Some(reference)
    }
}

/// The id of the person who approves.
fn who_answers(invitation: &Invitation, reply: &Reply) -> Result<String, BadLink> {
    match (&reply.user_id, &invitation.user_id) {
        (Some(other), Some(asked)) if other != asked && invitation.purpose == Purpose::Service => {
            Err(BadLink::new(
                "only the person of the access token can add a service",
            ))
        }
        (Some(user_id), _) | (None, Some(user_id)) => Ok(user_id.clone()),
        (None, None) => Ok(random::key()),
    }
}

/// Notes a consent, and returns the code of the callback.
fn consent(
    platform: &mut Platform,
    invitation: &Invitation,
    user_id: &str,
    challenge: &str,
) -> String {
    let (now, contract_id) = (platform.now(), &invitation.contract_id);
    let renews = platform.users.has_consent(user_id, contract_id);
    let consent_id = platform.users.consent(user_id, contract_id, now);
    if renews {
        platform.grants.replace(&consent_id);
    }
    let grant = Grant {
        consent_id,
        contract_id: contract_id.clone(),
        place: Place::Library(user_id.to_owned()),
        since: now,
    };
    platform
        .grants
        .note(grant, challenge, &invitation.redirect_uri)
}
