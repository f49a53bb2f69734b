use std::path::Path;
use std::process::Command;
use std::time::Duration;

use shop::{Api, Config, Shop};
use tempfile::TempDir;
use tokio::net::TcpListener;

const SETTINGS: &str = r#"
listen = "127.0.0.1:3000"
public_url = "https://shop.example"
database_url = "sqlite:shop.db"
admin_token = "0123456789abcdef"

[[tenants]]
slug = "corner-shop"
name = "Corner Shop"
application_id = "app"
contract_id = "contract"
private_key_file = "contract.pem"
products = [{ id = "coffee", name = "Coffee", price_in_cents = 850 }]
"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/keys/contract.pem");
    std::fs::copy(key, folder.path().join("contract.pem")).expect("a key");
    folder
}

fn read(settings: &str) -> anyhow::Result<Config> {
    let folder = folder();
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, settings).expect("a file");
    Config::read(&file)
}

#[test]
fn the_example_file_is_read() {
    let folder = folder();
    for key in ["corner-shop.pem", "book-barn.pem"] {
        std::fs::copy(folder.path().join("contract.pem"), folder.path().join(key)).expect("a key");
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("shop.example.toml");
    let file = folder.path().join("shop.toml");
    std::fs::copy(example, &file).expect("a file");
    let config = Config::read(&file).expect("settings");
    assert_eq!(config.tenants.len(), 2);
    let redirect_uri = config.tenants[0].redirect_uri.as_str();
    assert_eq!(redirect_uri, "https://shop.example/digime/callback");
}

#[test]
fn a_wrong_setting_is_one_error_that_names_it() {
    read(SETTINGS).expect("settings");
    for (right, wrong, named) in [
        ("listen = \"127.0.0.1:3000\"", "", "listen"),
        ("127.0.0.1:3000", "localhost", "listen"),
        ("database_url", "databse_url", "databse_url"),
        (
            "https://shop.example",
            "https://shop.example/path",
            "public_url",
        ),
        ("https://shop.example", "http://shop.example", "public_url"),
        ("https://shop.example", "shop", "public_url"),
        ("0123456789abcdef", "short", "admin_token"),
        ("contract.pem", "missing.pem", "missing.pem"),
        ("contract.pem", "shop.toml", "shop.toml"),
        ("slug = \"corner-shop\"", "slug = \"admin\"", "admin"),
        (
            "slug = \"corner-shop\"",
            "slug = \"Corner Shop\"",
            "Corner Shop",
        ),
        (
            "[[tenants]]",
            "api = \"library\"\n[[tenants]]",
            "`import` for API 1.7",
        ),
        (
            "[[tenants]]",
            "consent_notice = \"soon\"\n[[tenants]]",
            "`7 days`",
        ),
        (
            "[[tenants]]",
            "onboarding_url = \"https://pages.example/\"\n[[tenants]]",
            "`onboarding_url` is for `api = \"import\"`",
        ),
        (
            "[[tenants]]",
            "base_url = \"https://test.example/v1.7\"\n[[tenants]]",
            "`base_url` is that of API v1.7",
        ),
        (
            "[[tenants]]",
            "api = \"import\"\nbase_url = \"https://test.example/v1.5\"\n[[tenants]]",
            "`base_url` is that of API v1.5",
        ),
        (
            "[[tenants]]",
            "api = \"import\"\nbase_url = \"https://test.example/v1.7\"\n[[tenants]]",
            "`onboarding_url` is missing",
        ),
        ("850", "\"cheap\"", "price_in_cents"),
        ("products", "product", "product"),
    ] {
        assert!(SETTINGS.contains(right), "{right}");
        let error = read(&SETTINGS.replace(right, wrong)).err().expect(wrong);
        let error = format!("{error:#}");
        assert!(error.contains(named), "{wrong}: {error}");
    }
}

#[test]
fn the_api_and_the_notice_can_be_chosen() {
    let config = read(SETTINGS).expect("settings");
    assert_eq!(config.api, Api::Postbox);
    assert_eq!(config.consent_notice, Duration::from_hours(7 * 24));
    assert_eq!(config.form_targets(), None);

    let chosen = "api = \"import\"\nconsent_notice = \"10 days\"\n[[tenants]]";
    let config = read(&SETTINGS.replace("[[tenants]]", chosen)).expect("settings");
    assert_eq!(config.api, Api::Import);
    assert_eq!(config.consent_notice, Duration::from_hours(10 * 24));
    let digi_me = Some("https://api.digi.me".to_owned());
    assert_eq!(config.form_targets(), digi_me);
}

#[tokio::test]
async fn pages_in_a_test_network_need_the_setting_that_allows_plain_http() {
    let build = async |allowed: &str| {
        let platform = "api = \"import\"\nbase_url = \"http://sandbox:8700/v1.7\"\n\
            onboarding_url = \"http://sandbox:8700/apps/saas/\"\n";
        let folder = tempfile::tempdir().expect("a folder");
        let database = format!("sqlite:{}", folder.path().join("shop.db").display());
        let settings = SETTINGS
            .replace("sqlite:shop.db", &database)
            .replace("[[tenants]]", &format!("{platform}{allowed}[[tenants]]"));
        let config = read(&settings).expect("settings");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let built = Shop::build(config, listener).await;
        built.map(drop).map_err(|error| format!("{error:#}"))
    };
    let error = build("").await.expect_err("it is plain http");
    assert!(error.contains("`onboarding_url` can't be used"), "{error}");
    let allowed = "dangerously_allow_http_to = \"sandbox\"\n";
    assert_eq!(build(allowed).await, Ok(()));
}

#[test]
fn variables_override_the_file_and_a_wrong_one_ends_the_program() {
    let folder = folder();
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, SETTINGS).expect("a file");
    let mut program = Command::new(env!("CARGO_BIN_EXE_shop"));
    program
        .arg("--config")
        .arg(&file)
        .env("RUST_BACKTRACE", "1")
        .env("RUST_LOG", "off");
    // Kubernetes sets the first one.
    program
        .env("SHOP_PORT", "tcp://10.0.0.1:3000")
        .env("SHOP_ADMIN_TOKEN", "short");
    let output = program.output().expect("the program");
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("`admin_token` is shorter than 16 characters"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[tokio::test]
async fn a_database_that_is_away_is_named_with_the_reason_and_without_the_password() {
    let away = "postgres://shop:swordfish@127.0.0.1:1/shop";
    let config = read(&SETTINGS.replace("sqlite:shop.db", away)).expect("settings");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let error = Shop::build(config, listener)
        .await
        .err()
        .expect("it is away");
    let error = format!("{error:#}");
    assert!(
        error.contains("127.0.0.1:1: ") && error.contains("refused"),
        "{error}"
    );
    assert!(!error.contains("swordfish"), "{error}");
}
