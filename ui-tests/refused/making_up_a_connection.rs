use digime::Flow;
use digime_import::{Connected, Unstarted};

fn forge<C>(flow: Flow<C, Unstarted>) -> Flow<C, Connected> {
    flow.extend(|_| Connected {
        account_reference: None,
    })
}

fn main() {}
