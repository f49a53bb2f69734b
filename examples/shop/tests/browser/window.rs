use std::path::Path;
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, Locator};

/// How long a page may take to show what is expected.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser's window, in the words of a person who uses it. Elements are named by CSS selectors.
pub struct Window(pub Client);

impl Window {
    pub async fn open(&self, url: impl AsRef<str>) {
        self.0.goto(url.as_ref()).await.expect("a page");
    }

    /// Waits until the page shows an element.
    pub async fn sees(&self, selector: &str) {
        self.element(selector).await;
    }

    /// Whether the page shows an element by now.
    pub async fn has(&self, selector: &str) -> bool {
        self.0.find(Locator::Css(selector)).await.is_ok()
    }

    async fn element(&self, selector: &str) -> Element {
        let found = self.0.wait().at_most(PATIENCE);
        match found.for_element(Locator::Css(selector)).await {
            Ok(element) => element,
            Err(error) => {
                let page = self.0.source().await.unwrap_or_default();
                panic!("`{selector}` does not appear: {error}\n{page}");
            }
        }
    }

    pub async fn clicks(&self, selector: &str) {
        let clicked = self.element(selector).await.click().await;
        clicked.expect("a click");
    }

    pub async fn types(&self, selector: &str, text: &str) {
        let typed = self.element(selector).await.send_keys(text).await;
        typed.expect("an input");
    }

    pub async fn link(&self, selector: &str) -> String {
        let link = self.element(selector).await.attr("href").await;
        link.expect("an element").expect("a link")
    }

    /// The text of a page as a person reads it.
    pub async fn text(&self) -> String {
        let text = self.element("main").await.text().await;
        text.expect("an element")
    }

    pub async fn path(&self) -> String {
        self.0
            .current_url()
            .await
            .expect("a page")
            .path()
            .to_owned()
    }

    /// Turns to the window's last tab.
    pub async fn last_tab(&self) {
        let tabs = self.0.windows().await.expect("tabs");
        let last = tabs.into_iter().next_back().expect("a tab");
        self.0.switch_to_window(last).await.expect("a tab");
    }

    /// Opens an empty tab and turns to it.
    pub async fn new_tab(&self) {
        let tab = self.0.new_window(true).await.expect("a tab");
        self.0.switch_to_window(tab.handle).await.expect("a tab");
    }

    pub async fn first_tab(&self) {
        let tabs = self.0.windows().await.expect("tabs");
        let first = tabs.into_iter().next().expect("a tab");
        self.0.switch_to_window(first).await.expect("a tab");
    }

    /// Keeps a picture for the documentation, if `DIGIME_SCREENSHOTS` names the folder.
    pub async fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("DIGIME_SCREENSHOTS") {
            let picture = self.0.screenshot().await.expect("a picture");
            let file = Path::new(&folder).join(format!("{name}.png"));
            std::fs::write(file, picture).expect("a file");
        }
    }
}
