//! A person renews the consent, before or after its end.

use std::sync::Arc;

use digime::{DeliveryStatus, Error, Flow, Verifier};
use digime_import::{AwaitingConsent, Consent, ImportFlow};
use rand::RngExt;

use super::api::{self, Receipts};
use super::application::{Authorization, name};
use super::invariants::{CALL, PUSH, STORE, store_calls};
use super::machine::Machine;
use super::schedule::Run;
use super::wire::STRANGERS;

impl Run {
    /// Who logs in on the page on which a user is to renew the consent.
    pub(super) fn log_in(&mut self, user: usize) -> usize {
        let is_known = self.world.lock().platform.terms.says_who_consented();
        if is_known && self.rng.random_bool(0.2) {
            STRANGERS + user
        } else {
            user
        }
    }
}

impl Machine {
    /// The application asks a user to renew the consent.
    pub(super) async fn renew(self: Arc<Self>, user: usize, logs_in: usize, reuses: bool) {
        if let Some(flow) = self.flow_of(user, reuses).await {
            let renewing = flow.reauthorize();
            let renewing = self.call(format!("reauthorize {}", name(user)), CALL, renewing);
            if let Ok(awaiting) = renewing.await {
                self.wait_for(user, logs_in, &awaiting).await;
            }
        }
    }

    /// Parks a flow, and somebody consents. Returns the link.
    async fn wait_for(
        &self,
        user: usize,
        logs_in: usize,
        awaiting: &Flow<Receipts, AwaitingConsent<Verifier>>,
    ) -> Option<usize> {
        let suspended = awaiting.suspend().with(name(user));
        let expires = suspended.expires_at().expect("a flow ends");
        if !self.park(suspended).await {
            return None;
        }
        let link = self.consent(user, logs_in, awaiting.url(), expires);
        self.check_parking(link);
        Some(link)
    }

    /// The application attaches its data once more.
    pub(super) async fn attach(self: Arc<Self>, user: usize) {
        let name = name(user);
        let attaching = self.tokens.attach(&name, &self.contract, &name);
        let _ = self.call(format!("attach {name}"), STORE, attaching).await;
    }

    /// Checks after all faults have ended that a consent which ends is kept, is said to have ended, and is renewed.
    pub(super) async fn renew_at_last(&self, user: usize) {
        if !self.is_kept(user) {
            return;
        }
        self.world.lock().platform.lapse(user);
        self.world
            .log(format!("the consent of {} ends", name(user)));
        let Some(flow) = self.found(user).await else {
            return self.lost(user, "the store has nothing to renew");
        };
        let is_in_doubt = self.push_lapsed(user, &flow).await;
        let Some(flow) = self.found(user).await else {
            return self.lost(user, "the store has nothing to renew after a push");
        };
        let renewed = match flow.into_consent() {
            Consent::Lapsed(lapsed) => lapsed.reauthorize().await,
            Consent::Valid(flow) if is_in_doubt => flow.reauthorize().await,
            Consent::Valid(_) => return self.lost(user, "its end was not noted"),
        };
        match renewed {
            Ok(awaiting) => self.receive_renewed(user, &awaiting).await,
            Err(error) => self.lost(user, &error.report().to_string()),
        }
    }

    /// Whether the store has to have a consent of a user that can be renewed.
    fn is_kept(&self, user: usize) -> bool {
        let state = self.world.lock();
        let known = &state.users.all[user];
        let record = state.records.of(&name(user));
        !known.is_forgotten && !known.is_muddled && record.is_some()
    }

    pub(super) async fn found(&self, user: usize) -> Option<Authorization> {
        let name = name(user);
        let finding = self.tokens.find(&name, &self.contract, &self.client);
        let found = self.call(format!("find {name}"), STORE, finding).await;
        found.ok()?
    }

    /// Pushes after the end of the consent. True if the refresh token was in doubt.
    async fn push_lapsed(&self, user: usize, flow: &Authorization) -> bool {
        let item = self.item();
        let pushing = api::push(flow, api::item(&item, 100, user));
        let what = format!("push {item} for {}", name(user));
        let mut result = self.call(what, PUSH, pushing).await.map(drop);
        let is_in_doubt = matches!(result, Err(Error::RefreshInDoubt));
        if is_in_doubt {
            self.world.lock().users.refreshes[user] += 1;
            result = api::refresh(flow).await;
        }
        if !matches!(&result, Err(error) if matches!(error.reason(), Error::ConsentEnded { .. })) {
            self.lost(user, &format!("a push after its end says {result:?}"));
        }
        is_in_doubt
    }

    async fn receive_renewed(
        &self,
        user: usize,
        awaiting: &Flow<Receipts, AwaitingConsent<Verifier>>,
    ) {
        let Some(link) = self.wait_for(user, user, awaiting).await else {
            return self.lost(user, "the renewal is not parked");
        };
        let query = self.world.lock().users.links[link].query.clone();
        let receiving = self.call(
            "receive the renewal",
            store_calls(2),
            self.receiving(&query),
        );
        let flow = match receiving.await {
            Ok((flow, _)) => flow,
            Err(error) => return self.lost(user, &error.report().to_string()),
        };
        self.tokens.flush().await;
        let pushed = api::push(&flow, api::item(&self.item(), 100, user)).await;
        if !matches!(&pushed, Ok(delivery) if delivery.status() == DeliveryStatus::Delivered) {
            self.lost(user, &format!("a push after its renewal says {pushed:?}"));
        }
        self.check_renewed(user);
    }

    /// Checks that the tokens of a renewed consent are in the place of the earlier ones, with what was attached.
    fn check_renewed(&self, user: usize) {
        let state = self.world.lock();
        let grants = &state.platform.grants;
        let newest = grants.iter().rposition(|grant| grant.user == user);
        let end = format!(" {}", name(user));
        let records = state.records.all();
        let record = records.iter().find(|(key, _)| key.ends_with(&end));
        let kept = record.and_then(|(_, record)| state.platform.grant_in(record));
        let has_data = record.is_some_and(|(_, record)| record["user_data"] == name(user));
        std::mem::drop(state);
        if kept != newest {
            self.lost(user, "earlier tokens have kept the place of the new ones");
        }
        if !has_data {
            self.lost(user, "its renewal has lost what was attached");
        }
    }
}
