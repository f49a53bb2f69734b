use std::time::Duration;

use serde::Deserialize;

/// What became of an item that the platform has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a delivery says whether the data is in the user's digi.me or waits for the user"]
pub struct Delivery {
    status: DeliveryStatus,
    expires_in: Option<Duration>,
}

/// Where an item is that the platform has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It is in the user's digi.me.
    Delivered,
    /// It waits in the postbox until the user opens digi.me.
    Pending,
}

impl Delivery {
    /// Where the item is.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        self.status
    }

    /// For how long it waits in the postbox, where the platform says so.
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }
}

/// The platform's answer to a push.
#[derive(Debug, Deserialize)]
pub struct DeliveryAnswer {
    status: StatusAnswer,
    /// Seconds.
    expires: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StatusAnswer {
    Delivered,
    Pending,
}

impl From<DeliveryAnswer> for Delivery {
    fn from(answer: DeliveryAnswer) -> Self {
        Self {
            status: match answer.status {
                StatusAnswer::Delivered => DeliveryStatus::Delivered,
                StatusAnswer::Pending => DeliveryStatus::Pending,
            },
            expires_in: answer.expires.map(Duration::from_secs),
        }
    }
}
