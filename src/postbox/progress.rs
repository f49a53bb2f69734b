use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::observe::{self, numbers};

/// How far the push of an item is, in bytes of the item. It starts again at zero when the push is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many bytes have been handed to the network.
    pub sent: u64,
    /// How many bytes there are, if that is known.
    pub total: Option<u64>,
}

/// What the application wants to be called with the progress of an item.
pub(super) type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// The progress of one attempt, and who is called with it.
pub(super) struct UploadProgress {
    progress: Progress,
    callback: Option<OnProgress>,
}

impl UploadProgress {
    pub(super) fn new(total: Option<u64>, callback: Option<OnProgress>) -> Self {
        let progress = Progress { sent: 0, total };
        Self { progress, callback }
    }

    pub(super) fn advance(&mut self, bytes: u64) {
        self.progress.sent += bytes;
        numbers::handed_over(bytes);
    }

    /// Calls the application. If that panics, its callback is not called again, and the upload continues: a panic here
    /// would look like a lost answer, and the item would be pushed again.
    pub(super) fn report(&mut self) {
        let Some(callback) = &self.callback else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| callback(self.progress))).is_err() {
            self.callback = None;
            tracing::error!(target: observe::CALL, "`on_progress` panicked: it is not called again for this upload");
        }
    }
}
