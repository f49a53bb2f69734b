//! A middleware that counts attempts, by what they ask of the platform.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use digime::transport::tower::{Layer, Service};
use digime::transport::{Attempt, http};

/// Counts the attempts of a client: `Client::builder().layer(attempts.clone())`. A clone has the same counters.
#[derive(Clone, Debug, Default)]
pub struct CountAttempts(Arc<Mutex<HashMap<String, u32>>>);

impl CountAttempts {
    /// How many attempts there were, such as `of("push")`.
    #[must_use]
    pub fn of(&self, operation: &str) -> u32 {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters.get(operation).copied().unwrap_or_default()
    }

    fn count(&self, attempt: &Attempt) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counters.entry(attempt.operation().to_string()).or_default() += 1;
    }
}

impl<S> Layer<S> for CountAttempts {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            counters: self.clone(),
        }
    }
}

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    counters: CountAttempts,
}

impl<S: Service<http::Request<B>>, B> Service<http::Request<B>> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> S::Future {
        if let Some(attempt) = request.extensions().get() {
            self.counters.count(attempt);
        }
        self.inner.call(request)
    }
}
