use digime::{Error, Flow, OngoingContract};
use digime_extending::checkup::Check;

async fn check<C: OngoingContract>(flow: Flow<C>) -> Result<bool, Error> {
    let checked = flow.check().await?;
    Ok(checked.as_state().allows_writing())
}

fn main() {}
