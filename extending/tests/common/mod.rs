//! The contract of the tests of checkups.

use digime::{PrivateKey, digime_contract};
use digime_extending::checkup::Checkup;

#[digime_contract(
    kind = Checkup,
    application_id = "app-1",
    contract_id = "c-1",
    redirect_uri = "https://shop.example/digime"
)]
pub(crate) struct Receipts {
    private_key: PrivateKey,
}

pub(crate) fn receipts() -> Receipts {
    let pem = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/keys/contract.pem"
    ));
    Receipts {
        private_key: PrivateKey::from_pem(pem.expect("a file")).expect("a key"),
    }
}
