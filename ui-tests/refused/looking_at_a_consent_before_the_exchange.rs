use digime::{Flow, Verifier};
use digime_import::{AwaitingConsent, Consent, ImportFlow};

fn has_ended<C>(awaiting: Flow<C, AwaitingConsent<Verifier>>) -> bool {
    let consent = awaiting.into_consent();
    matches!(consent, Consent::Lapsed(_))
}

fn main() {}
