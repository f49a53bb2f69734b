//! Which of digi.me's two APIs the shop uses.

use std::str::FromStr;

use anyhow::bail;
use serde::Deserialize;

/// An API of digi.me. `digi_me.rs` has the calls of both, and some pages have other words for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Api {
    /// API 1.5: the customer has the digi.me app, and receipts are pushed to a postbox.
    #[default]
    Postbox,
    /// API 1.7: the customer has a browser, and receipts are pushed into the person's library.
    Import,
}

impl FromStr for Api {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        Ok(match word {
            "postbox" => Self::Postbox,
            "import" => Self::Import,
            _ => bail!(
                "`api` is “{word}”: write `postbox` for API 1.5, whose customers have the digi.me app, or `import` for API 1.7, whose customers consent in a browser"
            ),
        })
    }
}

impl TryFrom<String> for Api {
    type Error = anyhow::Error;

    fn try_from(word: String) -> anyhow::Result<Self> {
        word.parse()
    }
}
