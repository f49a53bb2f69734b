//! States that other libraries define.

mod calls;
mod reasons;
mod wrong_calls;

use std::ops::Deref;

use futures_util::future::BoxFuture;

use super::Flow;
use super::suspended::{Durable, Suspended};

/// A state that a library defines: it stands behind ours, or before them.
///
/// A state of this library comes only from the call that leads to it. So a library's state holds the whole flow that it
/// continues, in a private field, and its methods decide which calls of that flow remain. [`Flow::extend`] leads from a flow
/// to the state, and [`Flow::into_state`] back to what the state holds.
///
/// A flow in such a state dereferences to the state. So methods of the state that take `&self` are methods of the flow.
///
/// ```
/// use digime::extend::ExtensionState;
/// use digime::{Authorized, Delivery, Error, Flow, PostboxItem};
///
/// /// The state of a flow that pushes only what has a reference.
/// pub struct Referenced<C> {
///     flow: Flow<C, Authorized>,
/// }
///
/// impl<C> ExtensionState for Referenced<C> {}
///
/// impl<C> Referenced<C> {
///     /// Pushes an item under a reference.
///     pub async fn push_as(&self, reference: &str, item: PostboxItem) -> Result<Delivery, Error> {
///         self.flow.push(item.reference(reference)).await
///     }
/// }
///
/// async fn run<C>(authorized: Flow<C, Authorized>) -> Result<(), Error> {
///     let referenced = authorized.extend(|flow| Referenced { flow });
///     referenced.push_as("receipt-7", PostboxItem::file("receipt.pdf")).await?;
///     Ok(())
/// }
/// ```
///
/// No type of this library implements it, and no other library can implement it for our types. So nobody can make up a flow
/// in one of our states. Implement [`Durable`] too if the flow can be suspended. [`calls!`](crate::calls) adds methods that
/// consume the flow, and [`wrong_calls!`](crate::wrong_calls) explains calls that are wrong in the state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state that a library defines",
    label = "not an `ExtensionState`",
    note = "a library's own state needs `impl digime::extend::ExtensionState for …`; a state of digime comes only from the call that leads to it"
)]
pub trait ExtensionState {}

/// The future of a call that [`calls!`](crate::calls) defines.
pub type Call<'call, T> = BoxFuture<'call, T>;

impl<C, S> Flow<C, S> {
    /// Continues the flow in a state that a library defines. The state may hold the flow, so that nothing is lost.
    ///
    /// ```
    /// # use digime::extend::ExtensionState;
    /// # use digime::{Authorized, Flow};
    /// # struct Paused<C> { flow: Flow<C, Authorized> }
    /// # impl<C> ExtensionState for Paused<C> {}
    /// fn pause<C>(authorized: Flow<C, Authorized>) -> Flow<C, Paused<C>> {
    ///     authorized.extend(|flow| Paused { flow })
    /// }
    /// ```
    #[must_use = "the flow is in the new state"]
    pub fn extend<T: ExtensionState>(self, state: impl FnOnce(Self) -> T) -> Flow<C, T> {
        let platform = self.platform.clone();
        Flow::in_state(platform, state(self))
    }
}

impl<C, S: ExtensionState> Flow<C, S> {
    /// The state, which its library takes apart.
    ///
    /// ```
    /// # use digime::extend::ExtensionState;
    /// # use digime::{Authorized, Flow};
    /// # struct Paused<C> { flow: Flow<C, Authorized> }
    /// # impl<C> ExtensionState for Paused<C> {}
    /// fn resume<C>(paused: Flow<C, Paused<C>>) -> Flow<C, Authorized> {
    ///     paused.into_state().flow
    /// }
    /// ```
    pub fn into_state(self) -> S {
        self.state
    }

    /// Turns the flow into serde data, as every state that is [`Durable`] can be.
    ///
    /// ```
    /// # use digime::extend::ExtensionState;
    /// # use digime::suspended::Durable;
    /// # use digime::{Error, Flow};
    /// fn as_row<C, S: ExtensionState + Durable>(flow: &Flow<C, S>) -> Result<String, Error> {
    ///     Ok(flow.suspend().to_json()?)
    /// }
    /// ```
    pub fn suspend(&self) -> Suspended<C, S>
    where
        S: Durable,
    {
        Suspended::new(&self.platform.credentials, self.state.record())
    }
}

/// The state of a library. Its methods that take `&self` are methods of the flow.
impl<C, S: ExtensionState> Deref for Flow<C, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}
