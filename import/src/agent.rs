use serde_json::{Value, json};

/// How the library names itself to the platform: the member `agent` of the body.
pub(crate) fn agent() -> Value {
    json!({"sdk": {
        "name": "digime-rust",
        "version": env!("CARGO_PKG_VERSION"),
        "meta": {"os": std::env::consts::OS, "arch": std::env::consts::ARCH},
    }})
}
