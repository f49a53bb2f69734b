//! The onboarding app: the page in the user's browser that asks for consent, by API 1.7.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Form, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::page;
use super::phone::{bad, go_to};
use crate::import::onboarding::{Asked, Link, PATH, Page};
use crate::platform::scope;
use crate::reply::{Decision, Reply};
use crate::server::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    let answers = Router::new().route("/apps/saas/answer", post(answer));
    Page::ALL.into_iter().fold(answers, |routes, page| {
        let path = format!("{PATH}{}", page.name());
        let show = async move |State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery| {
            open(&shared, query, page)
        };
        routes.route(&path, get(show))
    })
}

/// The question whether the user consents.
#[derive(Template)]
#[template(path = "onboarding.html")]
struct Question<'a> {
    asked: Asked,
    page: Page,
    scope: Vec<String>,
    link: &'a str,
}

fn open(shared: &Shared, query: Option<String>, page_of_link: Page) -> Response {
    let query = query.unwrap_or_default();
    let link = format!("{}{}?{query}", shared.onboarding_url, page_of_link.name());
    let opened = Link::of(page_of_link, &query);
    let asked = opened.and_then(|opened| {
        let mut platform = shared.platform();
        if opened.skips_the_page() {
            let callback = opened.answer(&mut platform, &Reply::new(Decision::Approve))?;
            return Ok(Err(callback));
        }
        opened.check(&platform).map(Ok)
    });
    match asked {
        Err(why) => bad(&why, &link),
        Ok(Err(callback)) => go_to(Ok(callback), &link),
        Ok(Ok(asked)) => page(
            StatusCode::OK,
            &Question {
                scope: scope::in_words(&asked.invitation.scope),
                asked,
                page: page_of_link,
                link: &link,
            },
        ),
    }
}

#[derive(Deserialize)]
struct Answered {
    link: String,
    decision: Decision,
    /// Who answers, if it is another person than the one who is asked.
    #[serde(default)]
    user: String,
}

async fn answer(State(shared): State<Arc<Shared>>, Form(answered): Form<Answered>) -> Response {
    let mut reply = Reply::new(answered.decision);
    if !answered.user.trim().is_empty() {
        reply = reply.by(answered.user.trim());
    }
    let callback = shared.answer(&answered.link, &reply).await;
    go_to(callback, &answered.link)
}
