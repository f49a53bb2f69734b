use std::time::Duration;

use serde::Deserialize;

/// Where an item is that the platform has accepted.
///
/// ```
/// use digime::{Delivery, DeliveryStatus};
///
/// fn show(delivery: Delivery) -> &'static str {
///     match delivery.status() {
///         DeliveryStatus::Delivered => "in your digi.me",
///         DeliveryStatus::Pending => "waiting for you to open digi.me",
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    status: DeliveryStatus,
    expires_in: Option<Duration>,
}

/// Whether an accepted item has reached the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It is in the user's digi.me.
    Delivered,
    /// It waits in the postbox until the user opens digi.me.
    Pending,
}

impl Delivery {
    /// The delivery of an item that is in the user's digi.me at once, for the pushes of libraries.
    ///
    /// ```
    /// use digime::{Delivery, DeliveryStatus};
    ///
    /// assert_eq!(Delivery::delivered().status(), DeliveryStatus::Delivered);
    /// ```
    #[must_use]
    pub fn delivered() -> Self {
        Self {
            status: DeliveryStatus::Delivered,
            expires_in: None,
        }
    }

    /// Whether the item has reached the user.
    ///
    /// ```
    /// # fn example(delivery: digime::Delivery) {
    /// if delivery.status() == digime::DeliveryStatus::Pending {
    ///     println!("please open digi.me");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        self.status
    }

    /// How long the item waits in the postbox, if the platform says so.
    ///
    /// ```
    /// # fn example(delivery: digime::Delivery) {
    /// if let Some(time) = delivery.expires_in() {
    ///     println!("please open digi.me within {} days", time.as_secs() / 86_400);
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }
}

/// The platform's answer to a push.
#[derive(Debug, Deserialize)]
pub(crate) struct DeliveryAnswer {
    status: StatusAnswer,
    /// In seconds.
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
