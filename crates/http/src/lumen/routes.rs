//! The paths of the Lumen surface.

use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, stream};
use roster_application::ports::{CustomerKey, CustomerRef};
use roster_application::{Page, PageSize};
use roster_domain::{Customer, CustomerId, Tenant};

use super::dto::{self, CustomerView, Envelope, Success};
use super::error::{Error, Operation, answer};
use crate::caller::{Caller, ReadCustomers, WriteCustomers};
use crate::failure::Failure;
use crate::respond::json;
use crate::routing::{Surface, delete, get, post};
use crate::{body, openapi, path};

/// The Lumen surface.
pub(crate) fn surface() -> Surface {
    Surface::new("/api", answer)
        .resource("/customers", vec![get(list), post(create)])
        .resource("/customers/{id}", vec![get(show), post(update), delete(remove)])
        .resource("/openapi.json", vec![openapi::show(openapi::LUMEN)])
}

async fn create(request: HttpRequest) -> Result<HttpResponse, Error> {
    let create = async {
        let caller = Caller::<WriteCustomers>::of(&request).await?;
        let registration = dto::read_registration(caller.tenant(), body::read(&request)?)?;
        let registered = caller.register_customer(registration).await?;
        registered.map_err(|error| Failure::of_register(error, Failure::email_first))
    };
    let customer = create.await.map_err(Operation::Create.failed())?;
    Ok(enveloped(StatusCode::CREATED, &customer))
}

async fn show(request: HttpRequest) -> Result<HttpResponse, Error> {
    let show = async {
        let caller = Caller::<ReadCustomers>::of(&request).await?;
        let key = key(&request, caller.tenant())?;
        caller.find_customer(key).await
    };
    let customer = show.await.map_err(Operation::Read.failed())?;
    Ok(enveloped(StatusCode::OK, &customer))
}

async fn update(request: HttpRequest) -> Result<HttpResponse, Error> {
    let update = async {
        let caller = Caller::<WriteCustomers>::of(&request).await?;
        let key = key(&request, caller.tenant())?;
        let edit = dto::read_edit(body::read(&request)?)?;
        let changed = caller.change_customer(key, edit).await?;
        changed.map_err(|error| Failure::of_change(error, Failure::email_first))
    };
    let customer = update.await.map_err(Operation::Update.failed())?;
    Ok(enveloped(StatusCode::OK, &customer))
}

async fn remove(request: HttpRequest) -> Result<HttpResponse, Error> {
    let remove = async {
        let caller = Caller::<WriteCustomers>::of(&request).await?;
        let key = key(&request, caller.tenant())?;
        caller.delete_customer(key).await?.map_err(Failure::from)
    };
    remove.await.map_err(Operation::Delete.failed())?;
    Ok(json(StatusCode::OK, &Success { success: true }))
}

/// All customers in one answer, page by page: no more than one page is in memory, and nothing is held in the database
/// while a slow client reads.
async fn list(request: HttpRequest) -> Result<HttpResponse, Error> {
    let begin = async {
        let caller = Caller::<ReadCustomers>::of(&request).await?;
        // The first page is read before the status is sent, so that an outage is a 503 and not half an answer.
        let first = caller.list_customers(None, PageSize::STREAMED).await?;
        Ok((caller, first))
    };
    let (caller, first) = begin.await.map_err(Operation::Read.failed())?;
    let body = all_customers(caller, first);
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).streaming(body))
}

/// Where the writing of a list stands.
enum Progress {
    /// This page comes next.
    Page(Page<Customer>),
    /// The page behind this customer comes next.
    Behind(CustomerId),
    /// Everything is written.
    Done,
}

/// A failure on the way ends the connection without the closing bracket: no client takes half a list for a whole one.
fn all_customers(caller: Caller<ReadCustomers>, first: Page<Customer>) -> impl Stream<Item = Result<Bytes, Error>> {
    let start = (caller, Progress::Page(first), &br#"{"customers":["#[..]);
    stream::try_unfold(start, |(caller, progress, lead)| async move {
        let page = match progress {
            Progress::Page(page) => page,
            Progress::Behind(last) => {
                let next = caller.list_customers(Some(last), PageSize::STREAMED).await;
                next.map_err(Operation::Read.failed())?
            }
            Progress::Done => return Ok(None),
        };
        let mut chunk = lead.to_vec();
        for (place, customer) in page.items.iter().enumerate() {
            if place > 0 {
                chunk.push(b',');
            }
            serde_json::to_writer(&mut chunk, &CustomerView::from(customer))
                .map_err(|_| Operation::Read.failed()(Failure::Internal))?;
        }
        let progress = match page.items.last() {
            Some(last) if page.has_more => Progress::Behind(last.id()),
            _ => {
                chunk.extend_from_slice(b"]}");
                Progress::Done
            }
        };
        Ok(Some((Bytes::from(chunk), (caller, progress, &b","[..]))))
    })
}

fn enveloped(status: StatusCode, customer: &Customer) -> HttpResponse {
    json(status, &Envelope { customer: CustomerView::from(customer) })
}

fn key(request: &HttpRequest, tenant: Tenant) -> Result<CustomerKey, Failure> {
    let id = path::segment(request, "id").ok_or(Failure::MalformedId)?;
    let id = dto::parse_customer_id(&id).ok_or(Failure::MalformedId)?;
    Ok(CustomerKey { tenant, customer: CustomerRef::Id(id) })
}
