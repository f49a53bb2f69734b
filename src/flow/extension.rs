//! States that other libraries define.

mod call_span;
mod calls;
pub(crate) mod explained;
mod reasons;
mod wrong_calls;

pub use call_span::{CallSpan, Ending, KnownEnding, Returned, UnknownEnding};
use futures_util::future::BoxFuture;

/// A state that a library defines: it comes after ours, or before them.
///
/// A state of this library comes only from the call that leads to it. So a library's state holds the whole flow that it
/// continues, in a private field, and its methods decide which calls of that flow remain. [`Flow::extend`](crate::Flow::extend) leads from a flow
/// to the state, and [`Flow::into_state`](crate::Flow::into_state) back to what the state holds.
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
///     let item = PostboxItem::file("receipt.pdf");
///     let delivery = referenced.as_state().push_as("receipt-7", item).await?;
///     Ok(())
/// }
/// ```
///
/// No type of this library implements it, and no other library can implement it for our types. So nobody can make up a flow
/// in one of our states. Implement [`Durable`](crate::suspended::Durable) too if the flow can be suspended. [`calls!`](crate::calls) adds methods to the
/// flow, and [`wrong_calls!`](crate::wrong_calls) explains calls of this library that are wrong in the state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state that a library defines",
    label = "not an `ExtensionState`",
    note = "a library's own state needs `impl digime::extend::ExtensionState for …`; a state of digime comes only from the call that leads to it"
)]
pub trait ExtensionState {}

/// The future of a call that [`calls!`](crate::calls) defines.
pub type Call<'call, T> = BoxFuture<'call, T>;
