//! What a body tells about itself while it is sent, so that its sender can see whether the upload moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::watch;

/// Sees a body being sent.
pub(crate) struct BodyMonitor {
    parts_taken: watch::Receiver<()>,
    is_taken: bool,
    activity: Arc<Activity>,
}

/// The body's end of a [`BodyMonitor`]. Dropping it says that the body was taken to its end.
pub(super) struct BodySignals {
    parts_taken: watch::Sender<()>,
    pub(super) activity: Arc<Activity>,
}

/// Who waits for whom.
#[derive(Debug, Default)]
pub(super) struct Activity {
    is_reading: AtomicBool,
    is_part_wanted: AtomicBool,
}

pub(super) fn body_monitor() -> (BodySignals, BodyMonitor) {
    let (sender, parts_taken) = watch::channel(());
    let activity = Arc::new(Activity::default());
    let monitor = BodyMonitor {
        parts_taken,
        is_taken: false,
        activity: activity.clone(),
    };
    let signals = BodySignals {
        parts_taken: sender,
        activity,
    };
    (signals, monitor)
}

impl BodyMonitor {
    /// Waits until another part was taken, or the body's end was reached. After the end it waits for ever.
    pub(crate) async fn part_taken(&mut self) {
        if self.is_taken {
            std::future::pending::<()>().await;
        }
        self.is_taken = self.parts_taken.changed().await.is_err();
    }

    /// Whether the whole body was taken.
    pub(crate) fn is_taken(&self) -> bool {
        self.is_taken
    }

    /// Whether the connection could take more, and the item does not give it.
    pub(crate) fn waits_for_item(&self) -> bool {
        self.activity.is_reading.load(Relaxed) && self.activity.is_part_wanted.load(Relaxed)
    }
}

impl BodySignals {
    /// Says that the next part, or the end, was asked for, so the connection has taken the part before.
    pub(super) fn part_taken(&self) {
        self.parts_taken.send_replace(());
    }
}

impl Activity {
    /// Says whether the item is being read.
    pub(super) fn set_reading(&self, is_reading: bool) {
        self.is_reading.store(is_reading, Relaxed);
    }

    /// Says whether the connection has asked for a part that is not there yet.
    pub(super) fn set_part_wanted(&self, is_part_wanted: bool) {
        self.is_part_wanted.store(is_part_wanted, Relaxed);
    }
}
