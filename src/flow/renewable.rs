use tokio::sync::{Mutex, watch};

/// A value that many use at a time and that one of them replaces when it has gone stale.
#[derive(Debug)]
pub struct Renewable<T> {
    value: watch::Sender<T>,
    /// Held by the one that renews; the others wait for what it brings.
    renewing: Mutex<()>,
}

impl<T: Clone> Renewable<T> {
    pub fn new(value: T) -> Self {
        Self {
            value: watch::Sender::new(value),
            renewing: Mutex::new(()),
        }
    }

    pub fn get(&self) -> T {
        self.value.borrow().clone()
    }

    /// The value, as soon as it is one that is wanted.
    pub async fn wait_for(&self, is_wanted: impl FnMut(&T) -> bool) -> T {
        match self.value.subscribe().wait_for(is_wanted).await {
            Ok(value) => value.clone(),
            // The sender is `self`, which is borrowed meanwhile.
            Err(_) => self.get(),
        }
    }

    /// The value, renewed first where it is stale: once, whoever asks meanwhile.
    pub async fn fresh<E, F>(
        &self,
        is_stale: impl Fn(&T) -> bool,
        renew: impl FnOnce(T) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let current = self.get();
        if !is_stale(&current) {
            return Ok(current);
        }
        let _renewing = self.renewing.lock().await;
        let current = self.get();
        if !is_stale(&current) {
            return Ok(current);
        }
        let renewed = renew(current).await?;
        self.value.send_replace(renewed.clone());
        Ok(renewed)
    }
}
