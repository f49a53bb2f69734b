use std::collections::HashMap;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode, Url};

/// A browser with cookies of its own. It follows redirections.
pub struct Browser {
    client: Client,
    base: Url,
}

/// What a browser shows.
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub html: String,
}

impl Browser {
    pub fn new(base: &Url) -> Self {
        let client = Client::builder().cookie_store(true).build();
        let client = client.expect("a client");
        Self {
            client,
            base: base.clone(),
        }
    }

    pub async fn get(&self, address: impl AsRef<str>) -> Page {
        self.load(self.client.get(self.address(address.as_ref())))
            .await
    }

    /// Sends a form of a page of the same site.
    pub async fn post(&self, address: &str, form: &[(&str, &str)]) -> Page {
        self.load(
            self.request(address, form)
                .header("sec-fetch-site", "same-origin"),
        )
        .await
    }

    /// A form, without what a browser says of the site that it is on.
    pub fn request(&self, address: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let form: HashMap<_, _> = form.iter().copied().collect();
        self.client.post(self.address(address)).form(&form)
    }

    /// What a followed address says is new.
    pub async fn status(&self, address: &str) -> String {
        let answer: serde_json::Value =
            serde_json::from_str(&self.get(address).await.html).expect("JSON");
        answer["status"].as_str().expect("a status").to_owned()
    }

    pub async fn load(&self, request: RequestBuilder) -> Page {
        let response = request.send().await.expect("an answer");
        Page {
            url: response.url().clone(),
            status: response.status(),
            headers: response.headers().clone(),
            html: response.text().await.expect("text"),
        }
    }

    fn address(&self, address: &str) -> Url {
        self.base.join(address).expect("an address")
    }
}

impl Page {
    /// Whether there is an element with this id.
    pub fn has(&self, id: &str) -> bool {
        self.html.contains(&format!("id=\"{id}\""))
    }

    /// The values of an attribute, with the characters that HTML escapes.
    pub fn all(&self, attribute: &str) -> Vec<String> {
        let begin = format!(" {attribute}=\"");
        let values = self.html.split(&begin).skip(1);
        let values = values.map(|rest| rest.split('"').next().unwrap_or_default());
        values.map(|value| value.replace("&#38;", "&")).collect()
    }

    /// Whether it is the page of API 1.7 on which a person consents.
    pub fn is_of_digi_me(&self) -> bool {
        self.url.path().starts_with("/apps/saas/")
    }

    /// The link that a person answers: the address of digi.me's page, or the `digime://` link that the page offers, through the
    /// sandbox's page for it.
    pub fn link(&self) -> String {
        if self.is_of_digi_me() {
            return self.url.to_string();
        }
        let hrefs = self.all("href");
        let phone = hrefs
            .iter()
            .find_map(|href| Url::parse(href).ok().filter(|it| it.path() == "/phone"));
        let phone = phone.unwrap_or_else(|| panic!("no link in {}", self.html));
        let link = phone.query_pairs().find(|(name, _)| name == "link");
        link.expect("a link").1.into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }
}
