//! A customer, with a browser at the desk and another one on the phone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode, Url};

use super::Town;

/// After this time without an answer, something is broken.
const PATIENCE: Duration = Duration::from_mins(3);

const BETWEEN_TRIES: Duration = Duration::from_millis(200);

const BETWEEN_RELOADS: Duration = Duration::from_secs(2);

/// What all people have seen.
#[derive(Default)]
pub struct Seen {
    /// Requests whose connection ended before the answer.
    pub lost: AtomicU64,
    /// Requests that no process took.
    pub refused: AtomicU64,
    /// Answers with 5xx.
    pub failed: AtomicU64,
    /// Forms that were sent again, since their answer was lost.
    pub forms_again: AtomicU64,
    /// Callbacks that did not lead to “Connected”, although the person was.
    pub healed: AtomicU64,
    /// Consents that were given again, by what the page had said.
    pub consents_again: Mutex<Vec<String>>,
    /// The time of each answered callback.
    pub callbacks: Mutex<Vec<Duration>>,
    /// The time of each consent in the sandbox.
    pub consents: Mutex<Vec<Duration>>,
}

pub struct Person {
    town: Arc<Town>,
    slug: &'static str,
    product: &'static str,
    cookie: Mutex<Option<String>>,
    /// `digime://…`
    link: Mutex<String>,
    /// The path and query of the callback.
    callback: Mutex<String>,
}

struct Answer {
    status: StatusCode,
    location: String,
    html: String,
    took: Duration,
}

impl Person {
    pub fn new(town: Arc<Town>, slug: &'static str, product: &'static str) -> Self {
        Self {
            town,
            slug,
            product,
            cookie: Mutex::default(),
            link: Mutex::default(),
            callback: Mutex::default(),
        }
    }

    /// At the desk: *Save my receipts to digi.me*.
    pub async fn ask(&self) {
        let asked = self.form("connect", &[]).await;
        let page = self.get(&asked.location).await;
        *self.link.lock().expect("no panic") = page.link();
    }

    /// On the phone, which makes the key of the postbox. Here all phones share the cores of one machine.
    pub async fn consent(&self) {
        let link = self.link.lock().expect("no panic").clone();
        let begun = Instant::now();
        let callback = self.town.sandbox.consent(link).await.expect("a good link");
        note(&self.town.seen.consents, begun.elapsed());
        let query = callback.query().expect("a query");
        *self.callback.lock().expect("no panic") = format!("{}?{query}", callback.path());
    }

    /// The phone calls back. If the shop says that the answer was lost, the person begins again.
    pub async fn call_back(&self) {
        let seen = &self.town.seen;
        loop {
            let said = self.result().await;
            if said == "connected" {
                return;
            }
            if self.receipts().await.contains("id=\"consent-given\"") {
                return add(&seen.healed);
            }
            note(&seen.consents_again, said);
            self.ask().await;
            self.consent().await;
        }
    }

    /// Loads the callback's page on the phone, and again if it does not come. Returns what it says.
    async fn result(&self) -> String {
        let path = self.callback.lock().expect("no panic").clone();
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.send(Method::GET, &path, &[], false).await {
                note(&self.town.seen.callbacks, answer.took);
                if answer.status.is_redirection() {
                    return self.said(&answer.location).await;
                }
                assert!(
                    answer.status.is_server_error(),
                    "{}: {}",
                    answer.status,
                    answer.html
                );
            }
            assert!(begun.elapsed() < PATIENCE, "a callback has no result");
            tokio::time::sleep(BETWEEN_RELOADS).await;
        }
    }

    async fn said(&self, location: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.send(Method::GET, location, &[], false).await
                && answer.status.is_success()
            {
                let said = answer.html.split("id=\"result-").nth(1);
                let said = said.and_then(|rest| rest.split('"').next());
                return said.expect("a result").to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "{location} has no answer");
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    pub async fn buy(&self) {
        self.form("buy", &[("product", self.product)]).await;
    }

    /// The page with the customer's receipts.
    pub async fn receipts(&self) -> String {
        self.get(&format!("/{}/receipts", self.slug)).await.html
    }

    async fn get(&self, path: &str) -> Answer {
        let answer = self.answer(Method::GET, path, &[]).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.status);
        answer
    }

    async fn form(&self, name: &str, form: &[(&str, &str)]) -> Answer {
        let path = format!("/{}/{name}", self.slug);
        let answer = self.answer(Method::POST, &path, form).await;
        assert!(answer.status.is_redirection(), "{path}: {}", answer.status);
        answer
    }

    /// Sends a request until there is an answer that is no failure.
    async fn answer(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.send(method.clone(), path, form, true).await
                && !answer.status.is_server_error()
            {
                return answer;
            }
            if method == Method::POST {
                add(&self.town.seen.forms_again);
            }
            assert!(begun.elapsed() < PATIENCE, "{path} has no answer");
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    /// Sends a request to either machine. `None` if there is no answer.
    async fn send(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
        is_desk: bool,
    ) -> Option<Answer> {
        let town = &self.town;
        let machine = town.addresses[rand::random_range(0..town.addresses.len())];
        let url = format!("http://{machine}{path}");
        let mut request = town.http.request(method.clone(), url);
        request = request.header("sec-fetch-site", "same-origin");
        if method == Method::POST {
            request = request.form(form);
        }
        let cookie = self.cookie.lock().expect("no panic").clone();
        if let Some(cookie) = cookie.filter(|_| is_desk) {
            request = request.header(COOKIE, cookie);
        }
        let begun = Instant::now();
        let answered = async {
            let response = request.send().await?;
            let header = |name| response.headers().get(name).and_then(|it| it.to_str().ok());
            let location = header(LOCATION).unwrap_or_default().to_owned();
            let cookie = header(SET_COOKIE).and_then(|it| it.split(';').next().map(str::to_owned));
            let status = response.status();
            let html = response.text().await?;
            Ok::<_, reqwest::Error>((
                Answer {
                    status,
                    location,
                    html,
                    took: begun.elapsed(),
                },
                cookie,
            ))
        };
        match answered.await {
            Ok((answer, cookie)) => {
                if answer.status.is_server_error() {
                    add(&town.seen.failed);
                }
                if let Some(cookie) = cookie.filter(|_| is_desk) {
                    *self.cookie.lock().expect("no panic") = Some(cookie);
                }
                Some(answer)
            }
            Err(error) => {
                let count = if error.is_connect() {
                    &town.seen.refused
                } else {
                    &town.seen.lost
                };
                add(count);
                None
            }
        }
    }
}

impl Answer {
    /// The `digime://` link, which the page offers through the sandbox's phone.
    fn link(&self) -> String {
        let hrefs = self.html.split(" href=\"").skip(1);
        let mut hrefs = hrefs.filter_map(|rest| Url::parse(rest.split('"').next()?).ok());
        let phone = hrefs.find(|href| href.path() == "/phone").expect("a link");
        let mut link = phone.query_pairs().filter(|(name, _)| name == "link");
        link.next().expect("a link").1.into_owned()
    }
}

fn note<T>(list: &Mutex<Vec<T>>, value: T) {
    list.lock().expect("no panic").push(value);
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}
