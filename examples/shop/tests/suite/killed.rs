//! A small run of the benchmark `load`.

#[allow(dead_code, reason = "the benchmark also shows figures")]
#[path = "../../benches/load/town/mod.rs"]
mod town;

use town::Run;

use crate::street::skipped;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_a_machine_of_two_is_killed_again_and_again() {
    let Some(run) = Run::start(20).await else {
        skipped();
        return;
    };
    run.connect_first().await;
    run.ask(0).await;
    run.consent().await;
    run.call_back(1).await;
    run.push(2, 1).await;
    // A token that was lost would show now.
    run.town.sandbox.expire_access_tokens();
    run.push(1, 0).await;
    assert!(run.check().await >= 60);
}
