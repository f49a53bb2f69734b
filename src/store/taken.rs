//! A parked flow on its way from the store to whoever claims it.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::bounded::Bounded;
use super::{FlowStore, Parked, StoreError};

/// The pauses between two tries to put a flow back.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// How long a caller waits for a flow to be put back. The flow is put back after that too.
const PATIENCE: Duration = Duration::from_secs(5);

/// A parked flow that was taken out of its store. It returns there when this is dropped, until it is handed over.
pub struct Taken<S: FlowStore> {
    store: Bounded<S>,
    key: String,
    record: Option<String>,
    /// What this caller may have put in its place.
    mark: Option<String>,
    /// When nobody needs it any more; nothing where no clock can show that.
    expires: Option<Instant>,
}

impl<S: FlowStore> Taken<S> {
    /// Takes the flow under a key. A caller that is dropped while the store works on it loses nothing.
    pub async fn take(store: &Bounded<S>, key: String) -> Result<Option<Self>, StoreError> {
        let timeout = store.timeout();
        let store = store.clone();
        let mut taking = Box::pin(async move {
            let parked = store.take(&key).await?;
            Ok(parked.map(|parked| Self {
                store,
                key,
                expires: Instant::now().checked_add(parked.expires_in),
                record: Some(parked.record),
                mark: None,
            }))
        });
        // A store that answers at once needs no task.
        if let Some(taken) = taking.as_mut().now_or_never() {
            return taken;
        }
        match tokio::time::timeout(timeout, tokio::spawn(taking)).await {
            Ok(taken) => taken.unwrap_or_else(|_| Err(StoreError::failed("its task ended early"))),
            // What is taken later is put back.
            Err(_) => Err(StoreError::TimedOut(timeout)),
        }
    }

    pub fn record(&self) -> &str {
        self.record.as_deref().unwrap_or_default()
    }

    /// Keeps it out of the store: the caller is responsible for it from now on, and gets its record.
    pub fn hand_over(&mut self) -> String {
        self.record.take().unwrap_or_default()
    }

    /// Returns it to the store.
    pub async fn put_back(mut self) {
        if let Some(record) = self.record.take() {
            self.replace(record).await;
        }
    }

    /// Puts another record in its place, which expires when it does.
    pub async fn replace(&self, record: String) {
        let putting = tokio::spawn(self.putting(record));
        // It goes on without us.
        let _ = tokio::time::timeout(PATIENCE, putting).await;
    }

    /// Puts a mark of this caller in its place, once. No other caller's mark is the same.
    pub async fn try_mark(&mut self, mark: String) -> Result<(), StoreError> {
        self.mark = Some(mark.clone());
        self.store.put(&self.key, parked(mark, self.expires)).await
    }

    /// Puts a record until the store takes it or nobody needs it any more.
    fn putting(&self, mut record: String) -> impl Future<Output = ()> + Send + 'static {
        let (store, key, expires) = (self.store.clone(), self.key.clone(), self.expires);
        let own_mark = self.mark.clone();
        async move {
            let (mut pause, longest) = PAUSES;
            let mut has_failed = false;
            while expires.is_none_or(|expires| Instant::now() < expires) {
                // A try may have put it although the store says otherwise, and somebody may have claimed it since then.
                if has_failed
                    && let Ok(Some(found)) = store.take(&key).await
                    && own_mark.as_ref() != Some(&found.record)
                {
                    record = found.record;
                }
                match store.put(&key, parked(record.clone(), expires)).await {
                    Ok(()) => return,
                    Err(error) => {
                        has_failed = true;
                        tracing::warn!(%error, ?pause, "a flow could not be put back into its store: trying again");
                    }
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
    }
}

fn parked(record: String, expires: Option<Instant>) -> Parked {
    let expires_in = expires.map_or(Duration::MAX, |expires| {
        expires.saturating_duration_since(Instant::now())
    });
    Parked { record, expires_in }
}

impl<S: FlowStore> Drop for Taken<S> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(self.putting(record));
        }
    }
}
