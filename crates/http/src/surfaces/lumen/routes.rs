//! The paths of the Lumen surface.

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, stream};
use roster_application::ports::{CustomerFilter, CustomerKey, CustomerRef, Place};
use roster_application::{CustomerPage, Precondition};
use roster_domain::{Customer, Tenant};

use super::describe;
use super::dto::{self, CustomerView, Envelope, StatusView, Success};
use super::error::{Error, Operation, answer};
use crate::failure::Failure;
use crate::openapi;
use crate::request::caller::{Caller, ReadCustomers, WriteCustomers};
use crate::request::{body, path};
use crate::respond::json;
use crate::routing::{Surface, delete, get, post};
use crate::stream::{PartSize, StreamBudget, next_chunk};

/// The Lumen surface. The vendor's page has `/api`; its clients append `/v1` to their base URL.
pub(crate) fn surface() -> Surface {
    Surface::new("/api/v1", answer)
        .also_under("/api")
        .resource(
            "/customers",
            vec![get(list).described(describe::list_customers), post(create).described(describe::create_customer)],
        )
        .resource(
            "/customers/subscription-status",
            vec![get(show_subscription_status).described(describe::get_subscription_status)],
        )
        .resource(
            "/customers/{id}",
            vec![
                get(show).described(describe::get_customer),
                post(update).described(describe::update_customer),
                delete(remove).described(describe::delete_customer),
            ],
        )
        .resource("/openapi.json", vec![openapi::show(super::OPENAPI)])
}

async fn create(request: HttpRequest) -> Result<HttpResponse, Error> {
    let create = async {
        let caller = Caller::<WriteCustomers>::of(&request).await?;
        let registration = dto::read_registration(caller.tenant(), body::read(&request)?)?;
        caller.register_customer(registration).await
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

/// Whether the customer with an external identifier has an active subscription.
async fn show_subscription_status(request: HttpRequest) -> Result<HttpResponse, Error> {
    let show = async {
        let caller = Caller::<ReadCustomers>::of(&request).await?;
        let external_id = CustomerRef::ExternalId(dto::read_whose_status(&request)?);
        let customer = caller.find_customer(CustomerKey { tenant: caller.tenant(), customer: external_id }).await?;
        let subscription = caller.current_subscription(customer.id()).await?;
        Ok((customer, subscription))
    };
    let (customer, subscription) = show.await.map_err(Operation::Read.failed())?;
    Ok(json(StatusCode::OK, &StatusView::of(&customer, subscription.as_ref())))
}

async fn update(request: HttpRequest) -> Result<HttpResponse, Error> {
    let update = async {
        let caller = Caller::<WriteCustomers>::of(&request).await?;
        let key = key(&request, caller.tenant())?;
        let edit = dto::read_edit(body::read(&request)?)?;
        caller.change_customer(key, edit, Precondition::default()).await
    };
    let customer = update.await.map_err(Operation::Update.failed())?;
    Ok(enveloped(StatusCode::OK, &customer))
}

async fn remove(request: HttpRequest) -> Result<HttpResponse, Error> {
    let remove = async {
        let caller = Caller::<WriteCustomers>::of(&request).await?;
        let key = key(&request, caller.tenant())?;
        caller.delete_customer(key, Precondition::default()).await
    };
    remove.await.map_err(Operation::Delete.failed())?;
    Ok(json(StatusCode::OK, &Success { success: true }))
}

/// Streams all customers that are asked for in one response, part by part.
///
/// Only one part is in memory at a time, and a slow client holds no connection to the database.
async fn list(request: HttpRequest) -> Result<HttpResponse, Error> {
    let begin = async {
        let caller = Caller::<ReadCustomers>::of(&request).await?;
        let budget = request.app_data::<web::Data<StreamBudget>>().ok_or(Failure::Internal)?;
        let size = PartSize::new(budget.get_ref().clone());
        let filter = dto::read_filter(&request)?;
        let mut list = List { caller, filter, size, part: Bytes::new(), next: None, has_begun: false };
        // Reads the first part before the status is sent, so that an outage is a 503 and not half a response.
        list.read_part(None).await?;
        Ok(list)
    };
    let list = begin.await.map_err(Operation::Read.failed())?;
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).streaming(list.stream()))
}

/// The state of a streamed list of all customers.
struct List {
    /// Its credential is checked again while the list goes on.
    caller: Caller<ReadCustomers>,
    filter: CustomerFilter,
    size: PartSize,
    /// The rest of the current part, which the client has not read yet.
    part: Bytes,
    /// The place after which the next part begins. `None` if that part is the last.
    next: Option<Place>,
    /// Whether some of it was sent.
    has_begun: bool,
}

impl List {
    /// The body of the response. A failure closes the connection before the closing bracket is sent, so that no client
    /// takes half a list for the whole list.
    fn stream(self) -> impl Stream<Item = Result<Bytes, Error>> {
        stream::try_unfold(self, |mut list| async move {
            let chunk = list.next_chunk().await.map_err(Operation::Read.failed())?;
            Ok(chunk.map(|chunk| (chunk, list)))
        })
    }

    /// The next bytes of the list. A client may read slowly, so its credential is checked before each of them: a list
    /// ends as soon as any other request of its caller would be refused.
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.part.is_empty() && self.next.is_none() {
            return Ok(None);
        }
        if std::mem::replace(&mut self.has_begun, true) {
            self.caller.check_again().await?;
        }
        if let (true, Some(after)) = (self.part.is_empty(), self.next) {
            // This thread may read the part itself. Without a turn for its timers and sockets before each, a client that
            // reads fast would keep all others of the thread waiting, until their heads are late.
            tokio::task::yield_now().await;
            self.read_part(Some(after)).await?;
        }
        Ok(Some(next_chunk(&mut self.part)))
    }

    async fn read_part(&mut self, after: Option<Place>) -> Result<(), Failure> {
        let limit = self.size.next();
        let is_first = after.is_none();
        let write = move |page: CustomerPage| write_part(is_first, &page);
        let written = self.caller.read_part(self.filter.clone(), after, limit, write).await?;
        let Part { text, items, next } = written.map_err(|_| Failure::Internal)?;
        self.size.note(items, text.len());
        (self.part, self.next) = (text, next);
        Ok(())
    }
}

/// A part of the list as JSON text.
struct Part {
    text: Bytes,
    items: usize,
    /// The place after which the next part begins. `None` if this is the last.
    next: Option<Place>,
}

fn write_part(is_first: bool, page: &CustomerPage) -> serde_json::Result<Part> {
    let mut text = if is_first { br#"{"customers":["#.to_vec() } else { Vec::new() };
    for (index, customer) in page.customers.iter().enumerate() {
        // A later part may be empty, if the remaining customers were deleted meanwhile: it must not begin with a comma.
        if index > 0 || !is_first {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, &CustomerView::from(customer))?;
    }
    if page.next.is_none() {
        text.extend_from_slice(b"]}");
    }
    // Drops spare capacity, because many parts may be in memory for slow clients.
    Ok(Part { text: Bytes::from(text.into_boxed_slice()), items: page.customers.len(), next: page.next })
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
    use roster_domain::{CustomerId, EmailUse, Environment, MerchantId, Profile, Timestamp};
    use serde_json::Value;
    use uuid::Uuid;

    fn customers(count: u128) -> Vec<Customer> {
        let tenant = Tenant { merchant: MerchantId::new(Uuid::from_u128(1)), environment: Environment::Live };
        let now = Timestamp::from_millis(0).expect("a time");
        let id = |number| CustomerId::new(Uuid::from_u128(number));
        let register = |number| Customer::register(tenant, id(number), Profile::default(), EmailUse::Exclusive, now);
        (1..=count).map(register).collect()
    }

    fn page(count: u128, has_more: bool) -> CustomerPage {
        let customers = customers(count);
        let last = customers.last().map(Place::from);
        CustomerPage { customers, next: last.filter(|_| has_more), total: None }
    }

    /// The number of customers in the list that is written from `pages`.
    fn written(pages: &[CustomerPage]) -> usize {
        let parts = pages.iter().enumerate().map(|(index, page)| write_part(index == 0, page).expect("JSON"));
        let text = parts.flat_map(|part| part.text.to_vec()).collect::<Vec<_>>();
        let list: Value = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        list["customers"].as_array().expect("a list").len()
    }

    #[test]
    fn the_parts_of_a_list_are_one_json_text() {
        assert_eq!(written(&[page(0, false)]), 0);
        assert_eq!(written(&[page(2, false)]), 2);
        assert_eq!(written(&[page(2, true), page(1, true), page(2, false)]), 5);
    }

    #[test]
    fn a_list_whose_last_customers_are_deleted_meanwhile_is_valid_json() {
        assert_eq!(written(&[page(2, true), page(0, false)]), 2);
    }
}
