//! Checks each row of `docs/faults.md` about refusals of a refresh.

use digime::store::{MemoryStore, SharedTokens};
use digime::{Contract, Error, Signer};
use digime_sandbox::{Endpoint, Fault};

use crate::set_up::{authorized, client, receipts, sandbox};

/// What the table says about a code.
struct Row {
    code: &'static str,
    fails_with: &'static str,
    tokens: &'static str,
    /// What the error says, with the names in place of what each contract has.
    message: &'static str,
}

impl Row {
    fn message_for(&self, contract: &impl Contract) -> String {
        self.message
            .replace("{key}", contract.private_key().key_id())
            .replace("{contract}", contract.contract_id().as_str())
            .replace("{application}", contract.application_id().as_str())
            .replace("{uri}", contract.redirect_uri().as_str())
    }
}

fn rows() -> Vec<Row> {
    let page = include_str!("../../docs/faults.md");
    let (_, table) = page.split_once("| code |").expect("the table");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let cells: Vec<_> = line
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        let [_, code, fails_with, tokens, message, _] = cells[..] else {
            panic!("{line}")
        };
        Row {
            code,
            fails_with,
            tokens,
            message,
        }
    })
    .collect()
}

#[tokio::test]
async fn every_row_of_the_table_of_refusals_is_true() {
    let sandbox = sandbox().await;
    let (receipts, client) = (receipts(&sandbox), client(&sandbox));
    let rows = rows();
    assert!(rows.len() > 10);
    for row in rows {
        let tokens = SharedTokens::new(MemoryStore::new());
        let flow = authorized(&sandbox).await;
        let flow = tokens.keep("customer-42", flow).await.expect("kept");
        sandbox.inject(Endpoint::Token, Fault::Refuse(401, row.code));
        let error = flow.refresh().await.expect_err("a refusal");
        let fails_with = match &error {
            Error::ConsentEnded { code } => {
                assert_eq!(code, row.code);
                "ConsentEnded"
            }
            Error::Request(_) => "Refused",
            other => panic!("{other}"),
        };
        assert_eq!(fails_with, row.fails_with, "{}", row.code);
        assert!(
            error.to_string().contains(&row.message_for(&receipts)),
            "{}: {error}",
            row.code
        );
        assert!(!error.may_have_taken_effect(), "{}", row.code);
        let found = tokens.find("customer-42", &receipts, &client).await;
        let kept = match found.expect("the store works") {
            Some(_) => "are kept",
            None => "are removed",
        };
        assert_eq!(kept, row.tokens, "{}", row.code);
    }
}
