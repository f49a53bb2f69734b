use digime::{Callback, Error, Flow, OnceContract};

async fn authorize<C: OnceContract>(flow: Flow<C>, callback: Callback) -> Result<(), Error> {
    let session = flow.establish_session().await?;
    let awaiting = flow.create_postbox(session).await?;
    let authorized = awaiting.exchange_code(callback).await?;
    println!("{:?}", authorized.access_token());
    Ok(())
}

fn main() {}
