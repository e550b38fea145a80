//! The paths of the native surface.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use roster_application::Revision;
use roster_application::ports::{CustomerKey, CustomerRef, SubscriptionKey, SubscriptionWrite, Write};
use roster_domain::{ApiKeyId, Customer, CustomerId, ExternalId, SubscriptionId, Tenant};

use super::batch;
use super::describe;
use super::describe_imports;
use super::describe_webhooks;
use super::dto::{self, CustomerView, HealthView, OnConflict, OnMetadata, SubscriptionView};
use super::error::{Error, answer};
use super::events;
use super::export;
use super::imports;
use super::webhooks;
use crate::api_keys::{ApiKeyView, NewApiKeyView};
use crate::failure::{Failure, Fault, Place};
use crate::openapi;
use crate::paging::{PageView, linked, shown};
use crate::problems;
use crate::request::caller::{Caller, ListPage, ManageKeys, ReadCustomers, WriteCustomers, WriteSubscriptions};
use crate::request::query::PageQuery;
use crate::request::{body, conditions, path};
use crate::respond::{self, json};
use crate::routing::{Surface, delete, get, patch, post, put};

/// The native surface.
pub(crate) fn surface() -> Surface {
    // Only this surface shows rate limits in headers: the contracts of the other two vendors have no such headers.
    Surface::new(super::BASE, answer)
        .showing_limits()
        .resource(
            "/customers",
            vec![get(list).described(describe::list_customers), post(create).described(describe::create_customer)],
        )
        .resource("/customers/export", vec![get(export::export).described(describe::export_customers)])
        .batch_resource("/customers/batch", vec![post(batch::write).described(describe::write_customers)])
        .resource(
            "/customers/external/{external_id}",
            vec![
                get(show_by_external_id).described(describe::get_customer_by_external_id),
                put(upsert).described(describe::upsert_customer),
            ],
        )
        .resource(
            "/customers/{id}",
            vec![
                get(show).described(describe::get_customer),
                patch(change).described(describe::update_customer),
                delete(remove).described(describe::delete_customer),
            ],
        )
        .resource(
            "/customers/{id}/subscriptions",
            vec![get(list_subscriptions).described(describe::list_subscriptions)],
        )
        .resource(
            "/customers/{id}/subscriptions/{subscription_id}",
            vec![put(record_subscription).described(describe::record_subscription)],
        )
        .resource(
            "/customers/{id}/events",
            vec![get(events::list_of_customer).described(describe::list_customer_events)],
        )
        .resource("/events", vec![get(events::list).described(describe::list_events)])
        .resource("/events/days", vec![get(events::count_by_day).described(describe::count_events_by_day)])
        .resource("/events/{id}", vec![get(events::show).described(describe::get_event)])
        .resource(
            "/api_keys",
            vec![
                get(list_api_keys).described(describe::list_api_keys),
                post(create_api_key).described(describe::create_api_key),
            ],
        )
        .resource("/api_keys/{id}", vec![delete(revoke_api_key).described(describe::revoke_api_key)])
        .resource("/api_keys/{id}/rotate", vec![post(rotate_api_key).described(describe::rotate_api_key)])
        .resource(
            "/webhooks",
            vec![
                get(webhooks::list).described(describe_webhooks::list_webhooks),
                post(webhooks::create).described(describe_webhooks::create_webhook),
            ],
        )
        .resource(
            "/webhooks/{id}",
            vec![
                get(webhooks::show).described(describe_webhooks::get_webhook),
                patch(webhooks::change).described(describe_webhooks::update_webhook),
                delete(webhooks::remove).described(describe_webhooks::delete_webhook),
            ],
        )
        .resource(
            "/webhooks/{id}/attempts",
            vec![get(webhooks::list_attempts).described(describe_webhooks::list_webhook_attempts)],
        )
        .resource("/webhooks/{id}/replay", vec![post(webhooks::replay).described(describe_webhooks::replay_events)])
        .resource(
            "/webhooks/{id}/rotate_secret",
            vec![post(webhooks::rotate_secret).described(describe_webhooks::rotate_webhook_secret)],
        )
        .resource("/webhooks/{id}/test", vec![post(webhooks::test).described(describe_webhooks::test_webhook)])
        .file_resource(
            "/imports",
            vec![
                get(imports::list).described(describe_imports::list_imports),
                post(imports::create).described(describe_imports::create_import),
            ],
        )
        .resource(
            "/imports/{id}",
            vec![
                get(imports::show).described(describe_imports::get_import),
                delete(imports::cancel).described(describe_imports::cancel_import),
            ],
        )
        .resource(
            "/imports/{id}/errors",
            vec![get(imports::list_errors).described(describe_imports::list_import_errors)],
        )
        .resource("/health", vec![get(show_health).described(describe::get_health)])
        .resource("/problems", vec![get(list_problems).described(describe::list_problems)])
        .resource("/problems/{code}", vec![get(show_problem).described(describe::get_problem)])
        .resource("/openapi.json", vec![openapi::show(super::OPENAPI)])
}

async fn create(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteCustomers>::of(&request).await?;
    let body = body::read(&request).map_err(Failure::from)?;
    match dto::read_registration(caller.tenant(), body)? {
        (registration, None) => Ok(created(&caller.register_customer(registration).await?)),
        (registration, Some(OnConflict::ReturnExisting)) => {
            Ok(ensured(&caller.get_or_register_customer(registration).await?))
        }
    }
}

async fn upsert(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteCustomers>::of(&request).await?;
    let external_id = path::segment(&request, "external_id").ok_or_else(|| {
        let detail = "must be UTF-8".to_owned();
        Failure::from(Fault { place: Place::Parameter("external_id"), code: "invalid_parameter", detail })
    })?;
    let external_id = ExternalId::parse(external_id.into_owned())
        .map_err(|rule| Failure::from(Fault::new(Place::Parameter("external_id"), &rule)))?;
    let precondition = conditions::precondition(&request)?;
    let body = body::read(&request).map_err(Failure::from)?;
    let upsert = dto::read_upsert(caller.tenant(), external_id, precondition, body)?;
    Ok(ensured(&caller.upsert_customer(upsert).await?))
}

async fn show(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadCustomers>::of(&request).await?;
    let key = key(&request, caller.tenant())?;
    find(&request, &caller, key).await
}

async fn show_by_external_id(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadCustomers>::of(&request).await?;
    let external_id = path::segment(&request, "external_id").ok_or(Failure::NotFound)?;
    let external_id = ExternalId::parse(external_id.into_owned()).map_err(|_| Failure::NotFound)?;
    let key = CustomerKey { tenant: caller.tenant(), customer: CustomerRef::ExternalId(external_id) };
    find(&request, &caller, key).await
}

async fn find(request: &HttpRequest, caller: &Caller<ReadCustomers>, key: CustomerKey) -> Result<HttpResponse, Error> {
    let precondition = conditions::precondition(request)?;
    let customer = caller.find_customer(key).await?;
    let current = Revision::from(&customer);
    if !precondition.expects(Some(current)) {
        return Err(Failure::PreconditionFailed(Some(current)).into());
    }
    Ok(if precondition.excludes(Some(current)) { tagged(not_modified(), current) } else { found(&customer) })
}

async fn list(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadCustomers>::of(&request).await?;
    let list = dto::read_list(&request)?;
    let write = |page: ListPage<Customer>| {
        let data: Vec<_> = page.items.iter().map(CustomerView::from).collect();
        let bytes = respond::list_bytes(data.len(), &PageView::new(data, page.next.as_deref(), page.total))?;
        Ok::<_, Failure>((bytes, page.next))
    };
    let (bytes, next) = caller.list_customers(list, write).await??;
    Ok(linked(&request, next.as_deref(), respond::list(bytes)))
}

async fn change(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteCustomers>::of(&request).await?;
    let key = key(&request, caller.tenant())?;
    let precondition = conditions::precondition(&request)?;
    let on_metadata = if body::is_merge_patch(&request) { OnMetadata::Merge } else { OnMetadata::Replace };
    let body = body::read(&request).map_err(Failure::from)?;
    let edit = dto::read_edit(body, on_metadata)?;
    Ok(found(&caller.change_customer(key, edit, precondition).await?))
}

async fn remove(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteCustomers>::of(&request).await?;
    let key = key(&request, caller.tenant())?;
    caller.delete_customer(key, conditions::precondition(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn record_subscription(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<WriteSubscriptions>::of(&request).await?;
    let customer = customer_id(&request)?;
    let id = subscription_id(&request)?;
    let body = body::read(&request).map_err(Failure::from)?;
    let customer_key = CustomerKey { tenant: caller.tenant(), customer: CustomerRef::Id(customer) };
    let precondition = conditions::precondition(&request)?;
    let report = dto::read_report(SubscriptionKey { customer: customer_key, id }, precondition, body)?;
    let SubscriptionWrite { before, after } = caller.record_subscription(report).await?;
    let status = if before.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    let revision = Revision::of_subscription(customer, &after);
    Ok(tagged(json(status, &SubscriptionView::of(customer, &after)), revision))
}

async fn list_subscriptions(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadCustomers>::of(&request).await?;
    let customer = customer_id(&request)?;
    let page = caller.list_subscriptions(customer, PageQuery::read(&request)?).await?;
    Ok(shown(&request, &page, |subscription| SubscriptionView::of(customer, subscription)))
}

async fn create_api_key(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageKeys>::of(&request).await?;
    let body = body::read_optional(&request).map_err(Failure::from)?;
    let order = dto::read_api_key_order(caller.tenant(), body)?;
    let created = caller.create_api_key(order).await?;
    Ok(json(StatusCode::CREATED, &NewApiKeyView::from(&created)))
}

async fn list_api_keys(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageKeys>::of(&request).await?;
    let page = caller.list_api_keys(PageQuery::read(&request)?).await?;
    let current = caller.api_key();
    Ok(shown(&request, &page, |key| ApiKeyView::of(key, current)))
}

async fn revoke_api_key(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageKeys>::of(&request).await?;
    caller.revoke_api_key(api_key_id(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn rotate_api_key(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageKeys>::of(&request).await?;
    let id = api_key_id(&request)?;
    let overlap = dto::read_overlap(body::read_optional(&request).map_err(Failure::from)?)?;
    let created = caller.rotate_api_key(id, overlap).await?;
    Ok(json(StatusCode::CREATED, &NewApiKeyView::from(&created)))
}

/// Says that the service answers. It asks no database: requests without a key must not take the place of those with one.
async fn show_health(_: HttpRequest) -> HttpResponse {
    json(StatusCode::OK, &HealthView { status: "healthy", version: env!("CARGO_PKG_VERSION") })
}

/// The page with all kinds of problems.
async fn list_problems(_: HttpRequest) -> HttpResponse {
    problems::list()
}

/// The page that the `type` of a problem leads to.
async fn show_problem(request: HttpRequest) -> Result<HttpResponse, Error> {
    let page = path::segment(&request, "code").and_then(|code| problems::page(&code));
    Ok(page.ok_or(Failure::UnknownPath)?)
}

fn found(customer: &Customer) -> HttpResponse {
    tagged(json(StatusCode::OK, &CustomerView::from(customer)), Revision::from(customer))
}

fn created(customer: &Customer) -> HttpResponse {
    let mut response = tagged(json(StatusCode::CREATED, &CustomerView::from(customer)), Revision::from(customer));
    if let Ok(location) = header::HeaderValue::try_from(format!("/v1/customers/{}", customer.id())) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The customer that a write has made, or that was there already.
fn ensured(write: &Write) -> HttpResponse {
    if write.before().is_none() { created(write.after()) } else { found(write.after()) }
}

fn not_modified() -> HttpResponse {
    HttpResponse::NotModified().finish()
}

/// The response with the entity tag of what it shows.
fn tagged(mut response: HttpResponse, revision: Revision) -> HttpResponse {
    if let Some(tag) = conditions::entity_tag(revision) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn key(request: &HttpRequest, tenant: Tenant) -> Result<CustomerKey, Failure> {
    Ok(CustomerKey { tenant, customer: CustomerRef::Id(customer_id(request)?) })
}

pub(super) fn customer_id(request: &HttpRequest) -> Result<CustomerId, Failure> {
    let id = path::segment(request, "id").ok_or(Failure::MalformedId)?;
    CustomerId::parse(&id).map_err(|_| Failure::MalformedId)
}

fn api_key_id(request: &HttpRequest) -> Result<ApiKeyId, Failure> {
    let id = path::segment(request, "id").ok_or(Failure::KeyNotFound)?;
    ApiKeyId::parse(&id).map_err(|_| Failure::KeyNotFound)
}

fn subscription_id(request: &HttpRequest) -> Result<SubscriptionId, Failure> {
    let place = || Place::Parameter("subscription_id");
    let id = path::segment(request, "subscription_id").ok_or_else(|| {
        let detail = "must be UTF-8".to_owned();
        Failure::from(Fault { place: place(), code: "invalid_parameter", detail })
    })?;
    SubscriptionId::parse(id.into_owned()).map_err(|rule| Failure::from(Fault::new(place(), &rule)))
}
