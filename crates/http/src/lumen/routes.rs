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

/// All customers in one answer, part by part: no more than one part is in memory, and nothing is held in the database
/// while a slow client reads.
async fn list(request: HttpRequest) -> Result<HttpResponse, Error> {
    let begin = async {
        let caller = Caller::<ReadCustomers>::of(&request).await?;
        // The first part is read before the status is sent, so that an outage is a 503 and not half an answer.
        let first = read_part(&caller, None).await?;
        Ok((caller, first))
    };
    let (caller, first) = begin.await.map_err(Operation::Read.failed())?;
    let body = all_customers(caller, first);
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).streaming(body))
}

/// A part of the list as it is written: as much as is read at a time.
struct Part {
    text: Bytes,
    /// Behind whom the next part begins. `None` if this is the last.
    next: Option<CustomerId>,
}

/// Where the writing of a list stands.
enum Progress {
    /// This part comes next.
    Part(Part),
    /// The part behind this customer comes next.
    Behind(CustomerId),
    /// Everything is written.
    Done,
}

/// A failure on the way ends the connection without the closing bracket: no client takes half a list for a whole one.
fn all_customers(caller: Caller<ReadCustomers>, first: Part) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold((caller, Progress::Part(first)), |(caller, progress)| async move {
        let Part { text, next } = match progress {
            Progress::Part(part) => part,
            Progress::Behind(last) => read_part(&caller, Some(last)).await.map_err(Operation::Read.failed())?,
            Progress::Done => return Ok(None),
        };
        Ok(Some((text, (caller, next.map_or(Progress::Done, Progress::Behind)))))
    })
}

async fn read_part(caller: &Caller<ReadCustomers>, behind: Option<CustomerId>) -> Result<Part, Failure> {
    let is_first = behind.is_none();
    let part = caller.show_customers(behind, PageSize::STREAMED, move |page| write_part(is_first, &page)).await?;
    part.map_err(|_| Failure::Internal)
}

fn write_part(is_first: bool, page: &Page<Customer>) -> serde_json::Result<Part> {
    let mut text = if is_first { br#"{"customers":["#.to_vec() } else { Vec::new() };
    for (place, customer) in page.items.iter().enumerate() {
        // A part may be without a customer: those who were to come may have been deleted meanwhile.
        if place > 0 || !is_first {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, &CustomerView::from(customer))?;
    }
    let next = page.items.last().filter(|_| page.has_more).map(Customer::id);
    if next.is_none() {
        text.extend_from_slice(b"]}");
    }
    // No larger than it is: many may wait for slow clients.
    Ok(Part { text: Bytes::from(text.into_boxed_slice()), next })
}

fn enveloped(status: StatusCode, customer: &Customer) -> HttpResponse {
    json(status, &Envelope { customer: CustomerView::from(customer) })
}

fn key(request: &HttpRequest, tenant: Tenant) -> Result<CustomerKey, Failure> {
    let id = path::segment(request, "id").ok_or(Failure::MalformedId)?;
    let id = dto::parse_customer_id(&id).ok_or(Failure::MalformedId)?;
    Ok(CustomerKey { tenant, customer: CustomerRef::Id(id) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use roster_domain::{EmailUse, Environment, MerchantId, Profile, Timestamp};
    use serde_json::Value;
    use uuid::Uuid;

    fn customers(count: u128) -> Vec<Customer> {
        let tenant = Tenant { merchant: MerchantId::new(Uuid::from_u128(1)), environment: Environment::Live };
        let now = Timestamp::from_millis(0).expect("a time");
        let id = |number| CustomerId::new(Uuid::from_u128(number));
        let register = |number| Customer::register(tenant, id(number), Profile::default(), EmailUse::Exclusive, now);
        (1..=count).map(register).collect()
    }

    /// How many customers the list has that consists of such pages.
    fn written(pages: &[Page<Customer>]) -> usize {
        let parts = pages.iter().enumerate().map(|(place, page)| write_part(place == 0, page).expect("JSON"));
        let text = parts.flat_map(|part| part.text.to_vec()).collect::<Vec<_>>();
        let list: Value = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        list["customers"].as_array().expect("a list").len()
    }

    #[test]
    fn the_parts_of_a_list_are_one_json_text() {
        let page = |count, has_more| Page { items: customers(count), has_more };
        assert_eq!(written(&[page(0, false)]), 0);
        assert_eq!(written(&[page(2, false)]), 2);
        assert_eq!(written(&[page(2, true), page(1, true), page(2, false)]), 5);
    }

    #[test]
    fn a_list_whose_last_customers_are_deleted_while_it_is_written_is_whole() {
        let page = |count, has_more| Page { items: customers(count), has_more };
        assert_eq!(written(&[page(2, true), page(0, false)]), 2);
    }
}
