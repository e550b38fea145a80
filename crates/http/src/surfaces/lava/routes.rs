//! The paths of the Lava surface.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use roster_application::Precondition;
use roster_application::ports::CustomerKey;
use roster_domain::{Customer, Subscription, Tenant};

use super::describe;
use super::dto::{self, CustomerView, PageView, SubscriptionEnvelope, SubscriptionView, Success};
use super::error::{Error, answer};
use crate::failure::Failure;
use crate::openapi;
use crate::request::caller::{Caller, ListPage, ReadCustomers, Subscriber, WriteCustomers};
use crate::request::{body, path};
use crate::respond::{self, json};
use crate::routing::{Surface, delete, get, patch, post};

/// The Lava surface.
pub(crate) fn surface() -> Surface {
    Surface::new("/lava/v1", answer)
        .resource(
            "/customers",
            vec![get(list).described(describe::list_customers), post(create).described(describe::create_customer)],
        )
        .resource(
            "/customers/{customer_id}",
            vec![
                get(show).described(describe::get_customer),
                patch(change).described(describe::update_customer),
                delete(remove).described(describe::delete_customer),
            ],
        )
        .resource(
            "/customers/{customer_id}/subscription",
            vec![get(show_subscription).described(describe::get_subscription)],
        )
        .resource("/openapi.json", vec![openapi::show(super::OPENAPI)])
}

async fn create(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteCustomers>::of(&request).await?;
    let body = body::read(&request).map_err(Failure::from)?;
    let registration = dto::read_registration(caller.tenant(), caller.widest_email_use(), body)?;
    // A second request with a `reference_id` gets the existing customer, unchanged.
    let ((customer, subscription), is_new) = caller.register_subscriber(registration).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer_with(status, &customer, subscription.as_ref()))
}

async fn show(request: HttpRequest) -> Result<HttpResponse, Error> {
    let (customer, subscription) = find(&request).await?;
    Ok(answer_with(StatusCode::OK, &customer, subscription.as_ref()))
}

async fn show_subscription(request: HttpRequest) -> Result<HttpResponse, Error> {
    let (_, subscription) = find(&request).await?;
    let subscription = subscription.as_ref().map(SubscriptionView::from);
    Ok(json(StatusCode::OK, &SubscriptionEnvelope { subscription }))
}

async fn find(request: &HttpRequest) -> Result<Subscriber, Failure> {
    let caller = Caller::<ReadCustomers>::of(request).await?;
    let key = key(request, caller.tenant())?;
    let customer = caller.find_customer(key).await?;
    let subscription = caller.current_subscription(customer.id()).await?;
    Ok((customer, subscription))
}

async fn list(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadCustomers>::of(&request).await?;
    let list = dto::read_list(&request)?;
    let write = |page: ListPage<Subscriber>| {
        let shown = page.items.iter();
        let data: Vec<_> =
            shown.map(|(customer, subscription)| CustomerView::of(customer, subscription.as_ref())).collect();
        respond::list_bytes(data.len(), &PageView { data, has_more: page.next.is_some(), next_cursor: page.next })
    };
    Ok(respond::list(caller.list_subscribers(list, write).await??))
}

async fn change(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteCustomers>::of(&request).await?;
    let key = key(&request, caller.tenant())?;
    let body = body::read(&request).map_err(Failure::from)?;
    let edit = dto::read_edit(caller.widest_email_use(), body)?;
    let (customer, subscription) = caller.change_subscriber(key, edit).await?;
    Ok(answer_with(StatusCode::OK, &customer, subscription.as_ref()))
}

async fn remove(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteCustomers>::of(&request).await?;
    let key = key(&request, caller.tenant())?;
    caller.delete_customer(key, Precondition::default()).await?;
    Ok(json(StatusCode::OK, &Success { success: true }))
}

fn answer_with(status: StatusCode, customer: &Customer, subscription: Option<&Subscription>) -> HttpResponse {
    json(status, &CustomerView::of(customer, subscription))
}

fn key(request: &HttpRequest, tenant: Tenant) -> Result<CustomerKey, Failure> {
    let text = path::segment(request, "customer_id").ok_or(Failure::MalformedId)?;
    let customer = dto::parse_customer_ref(tenant, text.into_owned()).ok_or(Failure::MalformedId)?;
    Ok(CustomerKey { tenant, customer })
}
