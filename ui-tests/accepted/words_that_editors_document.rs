//! The words inside the attributes, as the code names them that only editors read.

use digime::__private::ide::{arguments, roles};
use digime::kind::{Once, Ongoing};
use digime::{ApplicationId, ContractId, PrivateKey, RedirectUri};

fn main() {
    let _: [fn(arguments::once) -> Once; 1] = [|it| it];
    let _: [fn(arguments::ongoing) -> Ongoing; 1] = [|it| it];
    let _: [fn(arguments::application_id) -> ApplicationId; 1] = [|it| it];
    let _: [fn(arguments::contract_id) -> ContractId; 1] = [|it| it];
    let _: [fn(arguments::redirect_uri) -> RedirectUri; 1] = [|it| it];
    let _: [fn(roles::application_id) -> ApplicationId; 1] = [|it| it];
    let _: [fn(roles::contract_id) -> ContractId; 1] = [|it| it];
    let _: [fn(roles::private_key) -> PrivateKey; 1] = [|it| it];
    let _: [fn(roles::redirect_uri) -> RedirectUri; 1] = [|it| it];
}
