//! A flow outlives its process, and is claimed by one of many.

use digime::store::{FlowStore, MemoryStore, ParkedFlows};
use digime_store_tests::{Place, claim, with_store};
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::set_up::{on_each_store, printed, run, sandbox, start, user};

const FLOWS: usize = 10_000;
const TASKS: usize = 8;

on_each_store! {
    a_flow_of_a_killed_process_is_finished_by_another
    each_of_ten_thousand_flows_is_claimed_once_by_two_processes
}

async fn a_flow_of_a_killed_process_is_finished_by_another(url: &str) {
    let (sandbox, place) = sandbox().await;
    let mut begins = start(&place, url, json!("Begin")).await;
    let output = begins.stdout.take().expect("its output");
    let link = BufReader::new(output).lines().next_line().await;
    let link = link.expect("a line").expect("a link");
    begins.kill().await.expect("it is killed");

    let callback = sandbox.consent(link).await.expect("a callback");
    let finish = json!({"Finish": {"callback": callback.as_str()}});
    printed(&run(&place, url, finish.clone()).await);
    let received = sandbox.inbox().pop().expect("an item");
    assert_eq!(
        received.descriptor["accounts"],
        json!([{"accountId": "customer-42"}])
    );

    let again = run(&place, url, finish).await;
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(
        !again.status.success() && told.contains("NothingParked"),
        "{told}"
    );
    assert_eq!(sandbox.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_ten_thousand_flows_in_memory_is_claimed_once_by_eight_tasks() {
    let (_sandbox, place) = sandbox().await;
    let (flows, states) = (ParkedFlows::new(MemoryStore::new()), states());
    park(&flows, &place, &states).await;
    let tasks = (0..TASKS).map(|task| {
        let (flows, place, states) = (flows.clone(), place.clone(), states.clone());
        tokio::spawn(async move { claim(&flows, &place, &states, deliveries(task)).await })
    });
    let claimed = try_join_all(tasks).await.expect("no task panics");
    assert_every_flow_once(claimed.concat());
}

async fn each_of_ten_thousand_flows_is_claimed_once_by_two_processes(url: &str) {
    let (_sandbox, place) = sandbox().await;
    let states = states();
    with_store!(url, store => park(&ParkedFlows::new(store), &place, &states).await);

    let (one, other) = (user(), user());
    let half = |first: usize, name: &str, waits_for: &str| {
        let deliveries: Vec<_> = (first..first + TASKS / 2).map(deliveries).collect();
        let job = json!({"Claim": {
            "name": name, "waits_for": waits_for, "states": states, "deliveries": deliveries,
        }});
        claimed(&place, url, job)
    };
    let (one, other) = tokio::join!(half(0, &one, &other), half(TASKS / 2, &other, &one));
    assert!(
        !one.is_empty() && !other.is_empty(),
        "both processes take part"
    );
    assert_every_flow_once([one, other].concat());
}

fn assert_every_flow_once(mut claimed: Vec<usize>) {
    claimed.sort_unstable();
    let every: Vec<usize> = (0..FLOWS).collect();
    assert!(
        claimed == every,
        "{} claims of {FLOWS} flows",
        claimed.len()
    );
}

/// States that no other run has.
fn states() -> Vec<String> {
    let process = std::process::id();
    (0..FLOWS)
        .map(|number| format!("state-{process}-{number}"))
        .collect()
}

/// What a task delivers: each callback comes three times, to three of the tasks, at about the same time.
fn deliveries(task: usize) -> Vec<usize> {
    let comes_to_it =
        |number: &usize| (0..3).any(|delivery| (number + 3 * delivery) % TASKS == task);
    (0..FLOWS).filter(comes_to_it).collect()
}

async fn claimed(place: &Place, url: &str, job: Value) -> Vec<usize> {
    serde_json::from_str(&printed(&run(place, url, job).await)).expect("numbers")
}

async fn park(flows: &ParkedFlows<impl FlowStore>, place: &Place, states: &[String]) {
    let numbered: Vec<_> = states.iter().enumerate().collect();
    let tasks = numbered.chunks(FLOWS / TASKS).map(|chunk| async move {
        for (number, state) in chunk {
            let flow = place.waiting(state, *number);
            flows.park(flow).await.expect("it is parked");
        }
    });
    join_all(tasks).await;
}
