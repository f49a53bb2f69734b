/// The contract `C`, owned or borrowed: what a flow is resumed with.
#[diagnostic::on_unimplemented(
    message = "a flow of the contract `{C}` can't be resumed with `{Self}`",
    label = "not the contract that the flow was begun under",
    note = "give the `{C}` that the flow was begun under, or one with the same ids: `suspended.resume(&contract, &client)`"
)]
pub trait OfContract<C> {
    #[doc(hidden)]
    fn contract(&self) -> &C;
}

#[diagnostic::do_not_recommend]
impl<C> OfContract<C> for C {
    fn contract(&self) -> &C {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<C> OfContract<C> for &C {
    fn contract(&self) -> &C {
        self
    }
}
