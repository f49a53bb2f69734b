use std::fmt::Debug;

use digime::digime_contract;

#[digime_contract(ongoing)]
#[derive(Clone, Debug)]
struct Receipts<'a, T: Debug + ?Sized, U = u8, const N: usize = 3>
where
    U: Copy,
{
    application_id: digime::ApplicationId,
    contract_id: digime::ContractId,
    private_key: digime::PrivateKey,
    redirect_uri: digime::RedirectUri,
    shop: &'a T,
    numbers: [U; N],
}

#[digime_contract(once)]
struct Tuple<State>(
    #[digime(application_id)] digime::ApplicationId,
    #[digime(contract_id)] digime::ContractId,
    #[digime(private_key)] digime::PrivateKey,
    #[digime(redirect_uri)] digime::RedirectUri,
    State,
);

async fn begin(receipts: &Receipts<'_, str>, client: &digime::Client) -> Result<(), digime::Error> {
    let flow: ReceiptsFlow<'_, str> = receipts.flow(client);
    let session = flow.establish_session().await?;
    let awaiting: ReceiptsFlow<'_, str, u8, 3, digime::AwaitingCallback<digime::Verifier>> =
        flow.create_postbox(session).await?;
    println!(
        "{} {:?} {}",
        receipts.shop,
        receipts.numbers,
        awaiting.url()
    );
    Ok(())
}

fn tuple(tuple: Tuple<u8>, client: &digime::Client) -> TupleFlow<u8> {
    println!("{}", tuple.4);
    tuple.flow(client)
}

fn main() {
    let _ = (begin, tuple);
}
