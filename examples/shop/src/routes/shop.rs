//! What everybody sees: the shops and their products.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Redirect};
use serde::Deserialize;
use tower_sessions::Session;

use crate::app::App;
use crate::page::{Frame, PageError, html};
use crate::tenant::Tenant;
use crate::{receipts, session};

#[derive(Template)]
#[template(path = "tenants.html")]
struct Tenants<'a> {
    frame: Frame,
    tenants: &'a [Tenant],
}

pub async fn tenants(State(app): State<Arc<App>>) -> Result<Html<String>, PageError> {
    html(&Tenants {
        frame: Frame::of(&app),
        tenants: &app.config.tenants,
    })
}

#[derive(Template)]
#[template(path = "products.html")]
struct Products<'a> {
    frame: Frame,
    tenant: &'a Tenant,
}

pub async fn products(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    session: Session,
) -> Result<Html<String>, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    html(&Products {
        frame: Frame::of_customer(&app, tenant, &session).await?,
        tenant,
    })
}

#[derive(Deserialize)]
pub struct Buy {
    product: String,
}

/// Orders a product. A real shop would also be paid.
pub async fn buy(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    session: Session,
    Form(form): Form<Buy>,
) -> Result<Redirect, PageError> {
    let tenant = app.tenant(&slug).ok_or(PageError::NotFound)?;
    let product = tenant
        .products
        .iter()
        .find(|product| product.id == form.product);
    let product = product.ok_or(PageError::NotFound)?;
    let customer = session::customer_or_new(&session).await?;
    let order = receipts::order(&app, tenant, &customer, product).await?;
    metrics::counter!("shop_orders_total", "tenant" => tenant.slug.clone()).increment(1);
    Ok(Redirect::to(&format!("/{slug}/receipts#{}", order.id)))
}

pub async fn style() -> impl IntoResponse {
    asset(
        "text/css; charset=utf-8",
        include_str!("../../static/shop.css"),
    )
}

pub async fn script() -> impl IntoResponse {
    asset(
        "text/javascript; charset=utf-8",
        include_str!("../../static/follow.js"),
    )
}

pub async fn icon() -> impl IntoResponse {
    asset("image/svg+xml", include_str!("../../static/icon.svg"))
}

fn asset(content_type: &'static str, content: &'static str) -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, "public, max-age=3600"),
        ],
        content,
    )
}
