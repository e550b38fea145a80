//! Pages of lists in responses and documents.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use roster_application::PageSize;
use roster_application::ports::Count;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::openapi::operation::{Answer, Parameter};
use crate::request::caller::ListPage;
use crate::request::query;
use crate::respond;

/// A page of a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(crate) struct PageView<'a, T> {
    #[schemars(length(max = PageSize::MAX.get()))]
    data: Vec<T>,
    /// Whether the list goes on behind this page.
    has_more: bool,
    /// Where it goes on, to be sent as `cursor`; `null` if it does not.
    next_cursor: Option<&'a str>,
    /// How many items the whole list has, whatever the cursor; only with `include=total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    total_count: Option<usize>,
    /// False: the list has more items than were counted, and `total_count` is the least that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    total_is_exact: Option<bool>,
}

impl<'a, T> PageView<'a, T> {
    pub(crate) fn new(data: Vec<T>, next: Option<&'a str>, total: Option<Count>) -> Self {
        Self {
            data,
            has_more: next.is_some(),
            next_cursor: next,
            total_count: total.map(|total| total.number),
            total_is_exact: total.map(|total| total.is_exact),
        }
    }
}

/// A page of a list that is short.
pub(crate) fn shown<'a, T, V: Serialize>(
    request: &HttpRequest,
    page: &'a ListPage<T>,
    view: impl Fn(&'a T) -> V,
) -> HttpResponse {
    let next = page.next.as_deref();
    let data = page.items.iter().map(view).collect();
    linked(request, next, respond::json(StatusCode::OK, &PageView::new(data, next, page.total)))
}

/// The page with the header that says where the list goes on.
pub(crate) fn linked(request: &HttpRequest, next: Option<&str>, mut page: HttpResponse) -> HttpResponse {
    let link = next.map(|cursor| header::HeaderValue::try_from(query::link_to_next(request, cursor)));
    if let Some(Ok(link)) = link {
        page.headers_mut().insert(header::LINK, link);
    }
    page
}

/// What a document says of a page of `T`.
pub(crate) fn page_of<T: JsonSchema + 'static>(description: &'static str) -> Answer {
    Answer::new(StatusCode::OK, description).json::<PageView<'static, T>>().header("Link")
}

/// The parameter that says where a page begins.
pub(crate) fn cursor() -> Parameter {
    let about = "The `next_cursor` of the page before, percent-encoded. Take it as it is. Left out: the first page.";
    Parameter::query_of("cursor", about, json!({ "type": "string" }))
}
