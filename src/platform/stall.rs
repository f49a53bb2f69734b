//! Whether an upload still moves. It has no time limit of its own, since how long it takes depends on its size.

use std::time::Duration;

use tokio::time::Instant;

use super::connections::Connections;
use crate::postbox::BodyMonitor;

/// For how many times the stall timeout an upload may continue while only the other side moves. The data that it takes may
/// be another upload's, since an HTTP client does not tell which connection carries which.
const MOST_TIMEOUTS: u32 = 10;

/// Which side of an upload stalled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stalled {
    /// The item gave nothing.
    Item,
    /// The other side took nothing, or did not answer.
    Line(&'static str),
}

/// Watches an upload.
pub(super) struct StallWatch {
    timeout: Duration,
    body: BodyMonitor,
    connections: Connections,
    /// When a part was last handed to the connection.
    handed_over_at: Instant,
    /// When a part was last handed over, or taken by the other side.
    moved_at: Instant,
    last_look: Option<Look>,
}

/// What a look at the connections saw.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    /// How many bytes the other side has not taken yet, if the system tells.
    unsent: Option<u64>,
}

impl StallWatch {
    pub(super) fn new(timeout: Duration, body: BodyMonitor, connections: Connections) -> Self {
        let now = Instant::now();
        Self {
            timeout,
            body,
            connections,
            handed_over_at: now,
            moved_at: now,
            last_look: None,
        }
    }

    /// Waits for the answer to the upload while the upload moves: while its parts are handed to the connection, or while
    /// the other side takes what was handed over.
    pub(super) async fn until<T>(mut self, answer: impl Future<Output = T>) -> Result<T, Stalled> {
        tokio::select! {
            // An answer that has come counts, however late it is looked at.
            biased;
            answer = answer => Ok(answer),
            stalled = self.stalled() => Err(stalled),
        }
    }

    /// Waits until the upload stalls.
    async fn stalled(&mut self) -> Stalled {
        loop {
            tokio::select! {
                biased;
                () = self.body.part_taken() => {
                    self.handed_over_at = Instant::now();
                    self.moved_at = self.handed_over_at;
                }
                () = tokio::time::sleep(self.timeout / 4) => {
                    self.look_at_connections().await;
                    if self.has_stalled() {
                        return self.stalled_side();
                    }
                }
            }
        }
    }

    /// Sees whether the other side has taken anything since the last look.
    async fn look_at_connections(&mut self) {
        // The look runs in a thread, and may have to wait for a free one.
        let look = tokio::time::timeout(self.timeout / 4, self.connections.unsent());
        let look = Look {
            unsent: look.await.ok().flatten(),
        };
        let last_look = self.last_look.replace(look);
        if last_look.is_some_and(|last_look| last_look != look) {
            self.moved_at = Instant::now();
        }
    }

    fn has_stalled(&self) -> bool {
        let latest = self.timeout.saturating_mul(MOST_TIMEOUTS);
        self.moved_at.elapsed() >= self.timeout || self.handed_over_at.elapsed() >= latest
    }

    fn stalled_side(&self) -> Stalled {
        let unsent = self.last_look.and_then(|look| look.unsent);
        if self.body.waits_for_item() {
            Stalled::Item
        } else if self.body.is_taken() && unsent.unwrap_or_default() == 0 {
            Stalled::Line("timed out waiting for the answer")
        } else {
            Stalled::Line("the upload stalled")
        }
    }
}
