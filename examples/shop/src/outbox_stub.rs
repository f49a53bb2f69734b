use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
#[derive(Clone, Debug)]
pub struct Entry { pub id: u64, pub reference: String, pub user: String, pub contract: String, pub name: String, pub bytes: Vec<u8>, pub state: State, pub attempts: u32, pub last_error: Option<String> }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State { Waiting, NeedsConsent, Delivered, Failed }
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<Vec<Entry>>>);
pub enum Done { Delivered, NeedsConsent, Transient(String), Failed(String) }
impl Outbox {
    pub async fn migrate(&self) -> anyhow::Result<()> { Ok(()) }
    pub async fn enqueue(&self, reference: String, user: String, contract: String, name: String, bytes: Vec<u8>) {
        let mut all = self.0.lock().unwrap();
        if all.iter().any(|e| e.reference == reference) { return; }
        let id = all.len() as u64 + 1;
        all.push(Entry { id, reference, user, contract, name, bytes, state: State::Waiting, attempts: 0, last_error: None });
    }
    pub async fn list(&self) -> Vec<Entry> { self.0.lock().unwrap().clone() }
    pub async fn connected(&self, user: &str, contract: &str) {
        for e in self.0.lock().unwrap().iter_mut() { if e.user == user && e.contract == contract && e.state == State::NeedsConsent { e.state = State::Waiting; } }
    }
    pub async fn retry(&self, id: u64) { for e in self.0.lock().unwrap().iter_mut() { if e.id == id { e.state = State::Waiting; } } }
    pub async fn discard(&self, id: u64) { self.0.lock().unwrap().retain(|e| e.id != id); }
    pub async fn run<F, R>(&self, deliver: F, stop: impl Future<Output = ()>) where F: Fn(Entry) -> R, R: Future<Output = Done> {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! { () = &mut stop => return, () = tokio::time::sleep(Duration::from_millis(200)) => {} }
            for e in self.list().await.into_iter().filter(|e| e.state == State::Waiting) {
                let id = e.id;
                let done = deliver(e).await;
                for e in self.0.lock().unwrap().iter_mut().filter(|e| e.id == id) {
                    e.attempts += 1;
                    match &done {
                        Done::Delivered => e.state = State::Delivered,
                        Done::NeedsConsent => e.state = State::NeedsConsent,
                        Done::Transient(w) => e.last_error = Some(w.clone()),
                        Done::Failed(w) => { e.last_error = Some(w.clone()); e.state = State::Failed }
                    }
                }
            }
        }
    }
}
