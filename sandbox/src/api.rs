//! The two versions of the platform's API, and what tells them apart everywhere.

use axum::http::StatusCode;

use crate::contract::{Contract, Kind};
use crate::refusal::Refusal;

/// A version of the platform's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Version 1.5: pushes go to a postbox.
    Postbox,
    /// Version 1.7: pushes are imported.
    Import,
}

impl Api {
    /// What the paths of its endpoints begin with.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Postbox => "/v1.5",
            Self::Import => "/v1.7",
        }
    }

    /// The version whose endpoints a path is below, and the rest of the path.
    pub(crate) fn of_path(path: &str) -> Option<(Self, &str)> {
        [Self::Postbox, Self::Import].into_iter().find_map(|api| {
            let rest = path.strip_prefix(api.path())?.strip_prefix('/')?;
            Some((api, rest))
        })
    }

    /// Refuses a contract that is of the other version.
    pub(crate) fn admit(self, contract: &Contract) -> Result<(), Refusal> {
        let why = match (self, contract.kind) {
            (Self::Postbox, Kind::Import) => {
                "the contract pushes by import, and API 1.5 has postboxes only: use API 1.7"
            }
            (Self::Import, Kind::Once | Kind::Ongoing) => {
                "the contract pushes to a postbox, and API 1.7 has imports only: use API 1.5"
            }
            _ => return Ok(()),
        };
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "InsufficientScope",
            why,
        ))
    }

    /// The refusal of a request whose application and contract are unknown.
    pub(crate) fn unknown_client(self) -> Refusal {
        let why = "`client_id` is no application and contract";
        match self {
            Self::Postbox => Refusal::jwt(why),
            Self::Import => Refusal::new(StatusCode::UNAUTHORIZED, "InvalidClient", why),
        }
    }
}
