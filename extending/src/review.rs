//! Reviews before pushes: `Authorized -> UnderReview -> Approved`. A flow that was submitted pushes only what a person has
//! approved.

use std::fmt;

use digime::error::SuspendedError;
use digime::extend::ExtensionState;
use digime::kind::Ongoing;
use digime::suspended::{Durable, Parkable, Resuming};
use digime::{
    Authorized, AwaitingCallback, Delivery, Error, Flow, OngoingContract, PostboxItem,
    PostboxReady, Rejected, Suspended, Unstarted,
};
use serde::{Deserialize, Serialize};

/// The state of a flow that waits for a reviewer.
///
/// What comes next: [`approve`](Review::approve).
#[must_use = "the next step is `under_review.approve(by).await?`"]
pub struct UnderReview<C> {
    flow: Flow<C, Authorized>,
    title: String,
}

/// The state of a flow whose pushes a person has approved.
///
/// What comes next: [`push`](Review::push), as often as wanted.
#[must_use = "the next step is `approved.push(item).await?`"]
pub struct Approved<C> {
    flow: Flow<C, Authorized>,
    by: String,
}

impl<C> ExtensionState for UnderReview<C> {}

impl<C> ExtensionState for Approved<C> {}

/// Why a review does not end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// The reviewer has no name.
    #[error("nobody has signed for the review: pass the reviewer's name")]
    Unsigned,
}

impl From<ReviewError> for Error {
    fn from(error: ReviewError) -> Self {
        Self::extension(error)
    }
}

impl<C> UnderReview<C> {
    /// What is reviewed.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }
}

impl<C> Approved<C> {
    /// Who has approved the pushes.
    #[must_use]
    pub fn approved_by(&self) -> &str {
        &self.by
    }
}

digime::calls! {
    /// Submits flows and approves them.
    pub trait Review<C> {
        /// Submits the flow for a review. From now on it pushes only what was approved.
        fn submit(self, title: String) -> Flow<C, UnderReview<C>>
        where
            Self: CanBeSubmitted<C>,
        {
            Authorized => submit;
            Unstarted: HasNothingToReview;
            AwaitingCallback<V>: HasNothingToReview, for any V;
            PostboxReady: IsReviewed;
            UnderReview<C>: WaitsForItsReviewer;
            Approved<C>: WasReviewed;
            _:  "cannot submit: `{Self}` is not authorized",
                "only an authorized flow is submitted",
                "submit the flow when it is authorized: `authorized.submit(title)`";
        }

        /// Approves the flow's pushes.
        ///
        /// # Errors
        /// [`ReviewError::Unsigned`] if `by` is empty. [`Rejected`] gives the flow back.
        async fn approve(self, by: String) -> Result<Flow<C, Approved<C>>, Rejected<Self>>
        where
            Self: CanBeApproved<C>,
        {
            UnderReview<C> => approve;
            Authorized: IsSubmitted;
            Approved<C>: WasReviewed;
            _:  "cannot approve: `{Self}` is not under review",
                "only a flow under review is approved",
                "submit the flow when it is authorized, `let under_review = authorized.submit(title);`, then approve it";
        }

        /// Pushes an item, as [`Flow::push`] does.
        ///
        /// # Errors
        /// Those of [`Flow::push`].
        async fn push(&self, item: PostboxItem) -> Result<Delivery, Error>
        where
            Self: CanPushReviewed<C>,
        {
            Approved<C> => push;
            _:  "cannot push: `{Self}` was not reviewed",
                "only an approved flow pushes with `Review::push`",
                "approve the flow first: `let approved = under_review.approve(by).await?;`";
        }
    }
}

fn submit<C>(flow: Flow<C, Authorized>, title: String) -> Flow<C, UnderReview<C>> {
    flow.extend(|flow| UnderReview { flow, title })
}

async fn approve<C>(
    flow: Flow<C, UnderReview<C>>,
    by: String,
) -> Result<Flow<C, Approved<C>>, Rejected<Flow<C, UnderReview<C>>>> {
    if by.is_empty() {
        return Err(Rejected::new(flow, ReviewError::Unsigned));
    }
    Ok(flow.extend(|flow| {
        let UnderReview { flow, .. } = flow.into_state();
        Approved { flow, by }
    }))
}

async fn push<C>(flow: &Flow<C, Approved<C>>, item: PostboxItem) -> Result<Delivery, Error> {
    flow.as_state().flow.push(item).await
}

digime::reasons! {
    pub HasNothingToReview:
        "cannot submit yet: the user has not answered",
        "there is nothing to review",
        "exchange the code first, `let authorized = awaiting.exchange_code(callback).await?;`, then submit: `authorized.submit(title)`";
    pub IsReviewed:
        "cannot submit: pushes of a one-off contract are not reviewed",
        "only an authorized flow is submitted",
        "push without a review: `ready.push(item).await?`; for reviews the contract must be `#[digime_contract(ongoing)]`";
    pub IsSubmitted:
        "cannot approve yet: the flow was not submitted",
        "there is no review to end",
        "submit it first: `let under_review = authorized.submit(title);`";
    pub WaitsForItsReviewer:
        "this call is not offered during a review: `UnderReview` waits for its reviewer",
        "the flow is under review",
        "end the review: `let approved = under_review.approve(by).await?;`";
    pub IsApproved:
        "cannot push yet: nobody has approved it",
        "the flow is under review",
        "end the review first, `let approved = under_review.approve(by).await?;`, then push: `approved.push(item).await?`";
    pub WasReviewed:
        "this call is not offered after a review: `Approved` only pushes",
        "the flow was reviewed",
        "the next step is `approved.push(item).await?`";
}

digime::wrong_calls! {
    impl[C] UnderReview<C> {
        push, push_many: IsApproved;
        _: WaitsForItsReviewer;
    }
}

digime::wrong_calls! {
    impl[C] Approved<C> {
        push => Review;
        _: WasReviewed;
    }
}

/// What is kept of a flow under review.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct UnderReviewRecord<C> {
    flow: Suspended<C, Authorized>,
    title: String,
}

impl<C: OngoingContract> Durable for UnderReview<C> {
    const NAME: &str = "digime_extending::UnderReview";
    type Kind = Ongoing;
    type Record = UnderReviewRecord<C>;

    fn record(&self) -> UnderReviewRecord<C> {
        UnderReviewRecord {
            flow: self.flow.suspend(),
            title: self.title.clone(),
        }
    }

    fn from_record(
        record: UnderReviewRecord<C>,
        resuming: &Resuming<'_>,
    ) -> Result<Self, SuspendedError> {
        Ok(Self {
            flow: resuming.flow(record.flow)?,
            title: record.title,
        })
    }
}

/// A review is found again by its title.
impl<C: OngoingContract> Parkable for UnderReview<C> {
    fn parking_key(record: &UnderReviewRecord<C>) -> &str {
        &record.title
    }
}

impl<C> fmt::Debug for UnderReview<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnderReview")
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Approved<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approved")
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}
