//! What the pages have in common, and what a failed request shows.

use std::fmt::Display;
use std::time::SystemTime;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use time::OffsetDateTime;
use time::macros::format_description;
use tower_sessions::Session;

use crate::app::App;
use crate::notices::{self, Notice};
use crate::session;
use crate::tenant::Tenant;

/// What the frame of every page shows.
pub struct Frame {
    /// The inbox of the sandbox's person, in the demo.
    pub inbox_url: Option<String>,
    /// What a customer is asked.
    pub notice: Option<Notice>,
}

impl Frame {
    pub fn of(app: &App) -> Self {
        let inbox_url = app.sandbox().map(|pages| pages.inbox_url.to_string());
        Self {
            inbox_url,
            notice: None,
        }
    }

    /// The frame of a page for whoever has the session.
    pub async fn of_customer(
        app: &App,
        tenant: &Tenant,
        session: &Session,
    ) -> Result<Self, PageError> {
        let notice = match session::customer(session).await? {
            Some(customer) => notices::of(app, tenant, &customer).await?,
            None => None,
        };
        Ok(Self {
            notice,
            ..Self::of(app)
        })
    }
}

pub fn html(page: &impl Template) -> Result<Html<String>, PageError> {
    Ok(Html(page.render().map_err(PageError::internal)?))
}

/// `3 March 2027`
pub fn date(time: SystemTime) -> String {
    let format = format_description!("[day padding:none] [month repr:long] [year]");
    OffsetDateTime::from(time)
        .format(format)
        .unwrap_or_default()
}

/// `3 March 2027, 14:05 UTC`
pub fn date_and_time(time: SystemTime) -> String {
    let format =
        format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    OffsetDateTime::from(time)
        .format(format)
        .unwrap_or_default()
}

/// Why a request has no page. The person sees what to do; the operator sees the cause, in the log.
#[derive(Debug)]
pub enum PageError {
    NotFound,
    /// The address of a callback that is cut off or tampered with.
    BadCallback,
    /// The link of a callback is unknown, or has ended long ago.
    UnknownCallback,
    /// It works if it is tried again.
    TryAgain,
    Internal,
}

impl PageError {
    /// digi.me or the database did not do what was asked for, and may do it later.
    pub fn try_again(error: &digime::Error) -> Self {
        tracing::error!(error = %error.report(), "a call of digime failed");
        Self::TryAgain
    }

    fn database_away(error: &impl Display) -> Self {
        tracing::error!(%error, "the database did not answer a request");
        Self::TryAgain
    }

    pub fn internal(error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        tracing::error!(error = format!("{error:#}"), "a request failed");
        Self::Internal
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    title: &'static str,
    advice: &'static str,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, advice) = match self {
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "The address may be mistyped, or belong to somebody else's visit.",
            ),
            Self::BadCallback => (
                StatusCode::BAD_REQUEST,
                "This address is not complete",
                "It should have come from digi.me. Go back to the shop, and use the link again.",
            ),
            Self::UnknownCallback => (
                StatusCode::GONE,
                "This link has ended",
                "Nothing was connected. Go back to the shop, and ask for a new link.",
            ),
            Self::TryAgain => (
                StatusCode::SERVICE_UNAVAILABLE,
                "This takes longer than usual",
                "Nothing is lost. Wait a moment, then load this page again.",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong on our side",
                "We have noted it. Please try again later.",
            ),
        };
        let page = ErrorPage {
            frame: Frame {
                inbox_url: None,
                notice: None,
            },
            title,
            advice,
        };
        match page.render() {
            Ok(page) => (status, Html(page)).into_response(),
            Err(_) => (status, title).into_response(),
        }
    }
}

impl From<sqlx::Error> for PageError {
    fn from(error: sqlx::Error) -> Self {
        // It knows which errors of a database pass by themselves.
        digime_outbox::Error::from(error).into()
    }
}

impl From<digime_outbox::Error> for PageError {
    fn from(error: digime_outbox::Error) -> Self {
        if error.is_transient() {
            let error = anyhow::Error::from(error);
            return Self::database_away(&format!("{error:#}"));
        }
        Self::internal(error)
    }
}

impl From<tower_sessions::session::Error> for PageError {
    fn from(error: tower_sessions::session::Error) -> Self {
        use tower_sessions::session::Error::Store;
        use tower_sessions::session_store::Error::Backend;

        match error {
            Store(Backend(error)) => Self::database_away(&error),
            other => Self::internal(other),
        }
    }
}

impl From<digime::Error> for PageError {
    fn from(error: digime::Error) -> Self {
        Self::try_again(&error)
    }
}

#[cfg(test)]
mod tests {
    use tower_sessions::{session, session_store};

    use super::*;

    #[test]
    fn a_person_is_asked_to_load_the_page_again_while_the_database_is_away() {
        let status = |error: PageError| error.into_response().status();
        let away = || sqlx::Error::PoolTimedOut;
        assert_eq!(status(away().into()), StatusCode::SERVICE_UNAVAILABLE);
        let outbox = digime_outbox::Error::from(away());
        assert_eq!(status(outbox.into()), StatusCode::SERVICE_UNAVAILABLE);
        let backend = session_store::Error::Backend(away().to_string());
        let session = session::Error::Store(backend);
        assert_eq!(status(session.into()), StatusCode::SERVICE_UNAVAILABLE);
        let defect = sqlx::Error::RowNotFound;
        assert_eq!(status(defect.into()), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
