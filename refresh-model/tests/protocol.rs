//! Checks the protocol, and that the checker finds what each rule prevents.
//!
//! `REFRESH_MODEL_LARGE=1` adds configurations that take minutes.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use digime_refresh_model::model::{Protocol, Rule};
use digime_refresh_model::old::LeaseProtocol;
use digime_refresh_model::properties::{
    ANSWERED, CONSENT_KEPT, FORGOTTEN, NEW_TOKENS_SAVED, NEWER_CONSENT_KEPT, NOT_STUCK,
    REMOVED_RIGHTLY, SENT_ONCE, TOLD_TRULY,
};
use stateright::{Checker, HasDiscoveries, Model};

fn holds(protocol: Protocol) {
    let title = format!("{protocol:?}");
    let start = Instant::now();
    let checked = protocol.checker().symmetry().spawn_dfs().join();
    println!(
        "{} states, {} steps, {:.1?}: {title}",
        checked.unique_state_count(),
        checked.state_count(),
        start.elapsed()
    );
    checked.assert_properties();
}

/// Finds a shortest way to break a property, and prints it.
fn breaks<M>(model: &M, property: &'static str)
where
    M: Model + Clone + Debug + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let path = (2..30)
        .find_map(|depth| {
            model
                .clone()
                .checker()
                .target_max_depth(depth)
                .finish_when(HasDiscoveries::AnyOf([property].into()))
                .spawn_bfs()
                .join()
                .discovery(property)
        })
        .unwrap_or_else(|| panic!("\"{property}\" holds for {model:?}"));
    println!("{model:?} breaks \"{property}\":");
    for action in path.into_actions() {
        println!("    {action:?}");
    }
}

/// Whether the configurations that take minutes are wanted.
fn large() -> bool {
    std::env::var_os("REFRESH_MODEL_LARGE").is_some()
}

#[test]
fn two_machines_that_refresh_twice_keep_the_consent() {
    let protocol = Protocol {
        explicit: 1,
        crashes: 1,
        consents: 1,
        ..Protocol::new(2, 2)
    };
    holds(protocol.clone());
    if large() {
        holds(Protocol {
            forgets: 1,
            withdrawals: 1,
            ..protocol.clone()
        });
        holds(Protocol {
            explicit: 2,
            late_writes: 1,
            ..protocol
        });
    }
}

#[test]
fn three_machines_keep_the_consent() {
    let protocol = Protocol {
        explicit: 1,
        crashes: 1,
        consents: 1,
        forgets: 1,
        withdrawals: 1,
        ..Protocol::new(3, 1)
    };
    holds(protocol.clone());
    if large() {
        holds(Protocol {
            explicit: 2,
            ..protocol
        });
        holds(Protocol {
            explicit: 1,
            ..Protocol::new(3, 2)
        });
    }
}

#[test]
fn store_calls_that_take_effect_late_do_no_harm() {
    let protocol = Protocol {
        explicit: 1,
        crashes: 1,
        late_writes: 1,
        consents: 1,
        forgets: 1,
        withdrawals: 1,
        ..Protocol::new(2, 1)
    };
    holds(protocol.clone());
    if large() {
        holds(Protocol {
            late_writes: 2,
            ..protocol.clone()
        });
        holds(Protocol {
            machines: 3,
            ..protocol
        });
    }
}

#[test]
fn each_rule_is_needed() {
    let two = Protocol::new(2, 1);
    let doubt = Protocol {
        explicit: 1,
        ..two.clone()
    };
    let consent = Protocol {
        consents: 1,
        ..Protocol::new(2, 2)
    };
    let forget = Protocol {
        forgets: 1,
        ..two.clone()
    };
    let late = Protocol {
        late_writes: 1,
        ..two.clone()
    };
    for (rule, property, protocol) in [
        (
            Rule::NewTokensReplaceWhatHoldsTheSpentOne,
            NEW_TOKENS_SAVED,
            &doubt,
        ),
        (Rule::NothingElseIsOverwritten, NEWER_CONSENT_KEPT, &consent),
        (Rule::NothingElseIsOverwritten, FORGOTTEN, &forget),
        (Rule::WaitingEnds, ANSWERED, &two),
        (Rule::DoubtIsNotUnmarked, SENT_ONCE, &doubt),
        (Rule::DoubtRemovesNothing, CONSENT_KEPT, &doubt),
        (Rule::DoubtRemovesNothing, REMOVED_RIGHTLY, &doubt),
        (Rule::RemovalOfNothingLooksAgain, TOLD_TRULY, &doubt),
        (Rule::RemovalOfNothingLooksAgain, TOLD_TRULY, &consent),
        (Rule::MarkIsOfOneCall, SENT_ONCE, &two),
        (Rule::UnmarkingRulesOutTheMark, NOT_STUCK, &late),
        (Rule::KeepingIsOfOneConsent, CONSENT_KEPT, &consent),
    ] {
        let protocol = Protocol {
            without: Some(rule),
            ..protocol.clone()
        };
        breaks(&protocol, property);
    }
}

#[test]
fn the_protocol_with_a_lease_sends_a_token_twice_and_loses_the_consent() {
    let old = LeaseProtocol { machines: 2 };
    breaks(&old, SENT_ONCE);
    breaks(&old, CONSENT_KEPT);
}
